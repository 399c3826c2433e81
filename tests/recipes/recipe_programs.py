"""The programs of docs/recipes.md, and mocks of the packages that they need and that are not installed."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Any
from unittest.mock import MagicMock

import pytest

from tests.guides import blocks

PAGE = "recipes.md"


def program(words: str) -> str:
    """Return the one program of the page that has the words."""
    (found,) = [block for block in blocks(PAGE, "python") if words in block]
    return found


def run_program(words: str, **names: Any) -> dict[str, Any]:
    """Run a program of the page, and return its names."""
    names["__name__"] = "__main__"
    exec(compile(program(words), f"{PAGE}: {words}", "exec", dont_inherit=True), names)
    return names


def mock_of(monkeypatch: pytest.MonkeyPatch, name: str) -> MagicMock | None:
    """Let `import name` give a mock, and return it, if the package is not installed."""
    if find_spec(name) is not None:
        return None
    mock = MagicMock()
    monkeypatch.setitem(sys.modules, name, mock)
    return mock
