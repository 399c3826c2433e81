"""docs/public-api.md lists exactly what the code makes public."""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Collection
from importlib import import_module

import pytest

from anchorloc import __main__ as console
from anchorloc.config import Config
from tests.guides import PAGES

TEXT = PAGES["public-api.md"].read_text(encoding="utf-8")
MODULES = re.findall(r"^### (anchorloc\S*)$", TEXT, re.MULTILINE)
COMMANDS = dict(re.findall(r"^\| `anchorloc ([a-z ]+)` \| (.*) \|$", TEXT, re.MULTILINE))


def section(heading: str) -> str:
    return TEXT.split(f"# {heading}\n")[1].split("\n#")[0]


def listed(heading: str) -> list[str]:
    """Return the names that the last paragraph of a section lists."""
    return re.findall(r"`(\w+)`", section(heading).strip().split("\n\n")[-1])


def components(kind: object) -> set[str]:
    """Return the names of the dataclasses in a type and in the types of their fields."""
    found: set[str] = set()
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        found.add(kind.__name__)
    fields = typing.get_type_hints(kind).values() if found else typing.get_args(kind)
    return found.union(*map(components, fields))


def check_names(heading: str, known: Collection[str]) -> None:
    """Check that a section lists exactly the names `known`, in order."""
    names = listed(heading)
    differences = {"add": sorted(set(known) - set(names)), "remove": sorted(set(names) - set(known))}
    assert not any(differences.values()), f"docs/public-api.md, section {heading}: {differences}"
    assert names == sorted(known), f"docs/public-api.md, section {heading}: sort the names"


def test_the_page_has_the_public_modules() -> None:
    names = ["train", "evaluate", "boxes", "anchors", "assign", "structures", "data", "metrics", "protocols"]
    assert ["anchorloc", *(f"anchorloc.{name}" for name in names)] == MODULES


@pytest.mark.parametrize("module", MODULES)
def test_the_names_of_a_module_are_its_all(module: str) -> None:
    public = import_module(module).__all__
    check_names(module, public)
    assert all(hasattr(import_module(module), name) for name in public)


def test_the_components_are_those_of_the_config() -> None:
    check_names("Settings", components(Config))


@pytest.mark.parametrize("command", COMMANDS)
def test_the_options_of_a_command_are_those_of_its_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        console.main([*command.split(), "--help"])
    known = set(re.findall(r"(?<![\w-])--[a-z][a-z\d-]*", re.sub(r"-\n\s*", "-", capsys.readouterr().out))) - {"--help"}
    assert set(re.findall(r"`(--[a-z\d-]+)`", COMMANDS[command])) == known


def test_every_command_is_on_the_page() -> None:
    assert {command.split()[0] for command in COMMANDS} == set(console.COMMANDS)
