"""An extension of griffe: the comment behind a field or constant is its docstring in the reference."""

from __future__ import annotations

import tokenize
from functools import cache
from pathlib import Path
from typing import Any

import griffe


class FieldComments(griffe.Extension):
    """Read the comment behind an attribute, and the comment lines right below it, as `anchorloc train --list` does."""

    def on_attribute(self, *, attr: griffe.Attribute, **_: Any) -> None:
        """Give an attribute without a docstring its comment."""
        if attr.docstring is None and isinstance(attr.filepath, Path) and attr.endlineno is not None:
            behind, alone = comments(attr.filepath)
            line, words = attr.endlineno, []
            while text := (alone if words else behind).get(line):
                words.append(text)
                line += 1
            if words:
                attr.docstring = griffe.Docstring(" ".join(words), lineno=attr.endlineno, parent=attr)


@cache
def comments(path: Path) -> tuple[dict[int, str], dict[int, str]]:
    """Return the comments behind code, and those alone on their line, by line."""
    behind: dict[int, str] = {}
    alone: dict[int, str] = {}
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            text = token.string.lstrip("# ")
            if token.type == tokenize.COMMENT and not text.startswith(("type:", "noqa")):
                (alone if token.line.lstrip().startswith("#") else behind)[token.start[0]] = text
    return behind, alone
