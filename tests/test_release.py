"""What a release states of itself is the same everywhere."""

from __future__ import annotations

import tomllib
from pathlib import Path

import yaml

import anchorloc

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


def test_the_version_is_the_same_everywhere() -> None:
    assert PROJECT["version"] == anchorloc.__version__ == str(CITATION["version"])


def test_the_citation_fits_the_project() -> None:
    assert {"cff-version", "message", "title", "authors"} <= CITATION.keys()  # required by CFF 1.2.0
    assert (CITATION["license"], CITATION["keywords"]) == (PROJECT["license"], PROJECT["keywords"])
    assert [one["name"] for one in CITATION["authors"]] == [one["name"] for one in PROJECT["authors"]]


def test_the_sdist_has_every_page_of_the_root() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    included = pyproject["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    assert {path.name for path in ROOT.glob("[A-Z]*") if path.is_file()} <= set(included)
