"""The errors that a user's files, config or command line cause."""

from __future__ import annotations


class InputError(ValueError):
    """A mistake in data, config or command line, as one sentence: what is wrong, where, and what to do.

    Commands print the sentence and exit with status 2; any other exception is a bug of the package.
    """


class ItemError(Exception):
    """A mistake in one item of a data set, such as "bbox [1, 2, 3] is not a list of four numbers".

    The caller catches it and adds the file and the item.
    """


class AccessError(ItemError):
    """A file that may be there but cannot be opened: a permission is missing, or its name cannot be encoded."""
