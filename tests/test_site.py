"""The documentation site has every page. `mkdocs build --strict` checks links and the reference (CONTRIBUTING.md)."""

from __future__ import annotations

import re
from typing import Any

import yaml

from tests.guides import PAGES, ROOT


def pages(node: Any) -> list[str]:
    """Return the paths in the navigation, in order."""
    if isinstance(node, str):
        return [node]
    return [path for part in (node.values() if isinstance(node, dict) else node) for path in pages(part)]


def test_every_page_is_in_the_navigation_once() -> None:
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    listed = pages(site["nav"])
    names = (ROOT / "docs" / "public-api.md").read_text(encoding="utf-8")
    modules = re.findall(r"^### (anchorloc\S*)$", names, re.MULTILINE)
    reference = [f"reference/{module.rpartition('.')[2]}.md" for module in modules]
    outside = ["index.md", "benchmarks/README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"]
    inside = [page for page in PAGES if page != "README.md"]
    assert sorted(listed) == sorted([*inside, *reference, *outside])


def test_the_search_finds_settings_by_their_last_name() -> None:
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    [search] = [one["search"] for one in site["plugins"] if isinstance(one, dict) and "search" in one]
    words = re.split(search["separator"], "set `decode.nms_iou=0.6` or `train.batch_size`")
    assert [word for word in words if word] == ["set", "decode", "nms_iou", "0.6", "or", "train", "batch_size"]
