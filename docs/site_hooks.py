"""Hooks of mkdocs: the pages of the repository that lie outside of docs/, and the reference of the public modules."""

from __future__ import annotations

import posixpath
import re
import zlib
from pathlib import Path
from typing import Any

import griffe
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = (
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"),
    *("benchmarks/README.md", "benchmarks/results/*", "configs/**/*.yaml"),
)
LINK = re.compile(r"(\]\()(?!https?:|mailto:|#)([^)\s#]+)")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages and tables that docs/ refers to, and a page for each public module."""
    for path in (one for pattern in OUTSIDE for one in sorted(ROOT.glob(pattern))):
        inside = site_path(path.relative_to(ROOT).as_posix())
        files.append(File.generated(config, inside, abs_src_path=str(path)))
    modules = public_names()
    for module, names in modules.items():
        members = [name for name in names if f"{module}.{name}" not in modules]
        content = f"# {module}\n\n::: {module}\n    options:\n      members: {members}\n"
        files.append(File.generated(config, f"reference/{module.rpartition('.')[2]}.md", content=content))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Point links at the places that files have in the site."""
    if page.file.src_uri.startswith("reference/"):
        return markdown
    source = repository_path(page.file.src_uri)

    def moved(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link[2]))
        return link[1] + posixpath.relpath(site_path(target), posixpath.dirname(page.file.src_uri) or ".")

    return LINK.sub(moved, markdown)


def on_post_build(config: Any) -> None:
    """Refuse a site whose reference lacks a public name or its meaning, or has a name that is not public."""
    inventory = (Path(config.site_dir) / "objects.inv").read_bytes().split(b"\n", 4)[4]
    known = {line.split(" ")[0] for line in zlib.decompress(inventory).decode().splitlines()}
    modules = public_names()
    wanted = {f"{module}.{name}" for module, names in modules.items() for name in names}
    if missing := sorted(wanted - known - set(modules)):
        raise PluginError(f"the reference lacks {', '.join(missing)}")
    public = {name for names in modules.values() for name in names}  # also where another module imports them
    inside = (name.rpartition(".") for name in known - set(modules))
    if private := sorted(f"{module}.{name}" for module, _, name in inside if module in modules and name not in public):
        raise PluginError(f"the reference has names that are not public: {', '.join(private)}")
    extensions = griffe.load_extensions(f"{ROOT}/docs/field_comments.py:FieldComments")
    package = griffe.load("anchorloc", search_paths=[ROOT], extensions=extensions)
    if bare := sorted(name for name in wanted if not package[name.removeprefix("anchorloc.")].has_docstring):
        raise PluginError(f"no docstring, nor a comment behind a constant: {', '.join(bare)}")


def public_names() -> dict[str, list[str]]:
    """Return the names of each public module, as docs/public-api.md lists them."""
    page = (ROOT / "docs" / "public-api.md").read_text(encoding="utf-8").partition("\n## Settings")[0]
    sections = re.split(r"^### (anchorloc\S*)$", page, flags=re.MULTILINE)[1:]
    return {
        module: re.findall(r"`(\w+)`", text.strip().split("\n\n")[-1])
        for module, text in zip(sections[::2], sections[1::2], strict=True)
    }


def site_path(path: str) -> str:
    """Return where a file of the repository lies in the site: docs/ is its root, and README.md its first page."""
    return "index.md" if path == "README.md" else path.removeprefix("docs/")


def repository_path(path: str) -> str:
    """Return where a page of the site lies in the repository."""
    inside = "README.md" if path == "index.md" else path
    return inside if (ROOT / inside).is_file() and not (ROOT / "docs" / path).is_file() else f"docs/{path}"
