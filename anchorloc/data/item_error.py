"""What can be wrong with one item of a data set, said by whoever finds it; the caller adds where the item is."""

from __future__ import annotations

import reprlib
from typing import Any


class Flaw(Exception):
    """A clause such as "bbox [1, 2, 3] is not four numbers; ...", to follow the name of file and item."""


def short(value: Any) -> str:
    """Return `repr(value)`, cut where a hostile value would fill the screen."""
    return reprlib.repr(value)


def json_type(value: Any) -> str:
    """Return what JSON calls the type of a parsed value, with its article."""
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


def first_of(items: list[str], shown: int = 5) -> str:
    """Join the first few of `items`, and tell how many more there are."""
    more = len(items) - shown
    return ", ".join(items[:shown]) + (f" and {more:,} more" if more > 0 else "")


def counted(number: int, one: str, many: str) -> str:
    """Return e.g. "1 box has" or "1,200 boxes have"."""
    return f"{number:,} {one if number == 1 else many}"
