"""What can be wrong with one item of a data set, said by whoever finds it; the caller adds where the item is."""

from __future__ import annotations

from typing import Any


class ItemError(Exception):
    """A clause such as "bbox [1, 2, 3] is not four numbers; ...", to follow the name of file and item."""


def json_type(value: Any) -> str:
    """Return what JSON calls the type of a parsed value, with its article."""
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")
