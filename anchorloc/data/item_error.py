"""The error of one item of a data set."""

from __future__ import annotations


class ItemError(Exception):
    """A problem of one item, such as "bbox [1, 2, 3] is not a list of four numbers"; the caller adds file and item."""
