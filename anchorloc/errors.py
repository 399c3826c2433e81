"""The one error that a user can cause."""

from __future__ import annotations


class InputError(ValueError):
    """A mistake in data, config or command line, as one sentence: what is wrong, where, and what to do.

    Commands print the sentence and exit with status 2; any other exception is a bug of the package.
    """
