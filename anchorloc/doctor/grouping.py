"""Which images must stay together when a data set is split."""

from __future__ import annotations

import re

from anchorloc.doctor.document import Document
from anchorloc.errors import InputError
from anchorloc.text import short_repr


def groups_of(document: Document, key: str | None = None, pattern: str | None = None) -> list[str]:
    """Return the group of each image: the value of its `key`, or what the group of `pattern` matches in its file_name.

    Without either, each image is a group of its own.

    Raises:
        InputError: an image lacks the key or does not match, or the pattern is no regular expression with one group.
    """
    images = document.items("images")
    if key is not None:
        return [_value(document, row, key) for row in range(len(images))]
    if pattern is not None:
        compiled = _compile(pattern)
        return [_matched(document, row, compiled) for row in range(len(images))]
    return [str(row) for row in range(len(images))]


def _value(document: Document, row: int, key: str) -> str:
    value = document.items("images")[row].get(key)
    if type(value) not in (int, str):
        keys = ", ".join(map(short_repr, document.items("images")[row]))
        raise InputError(
            f"{document.path}: {document.describe('images', row)} has {key} {short_repr(value)}, which is neither a "
            f"number nor a string to group by; its keys are {keys}"
        )
    return repr(value)  # 1 and "1" stay apart


def _compile(pattern: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise InputError(f"--group-by-name {pattern!r} is no regular expression: {error}") from None
    if compiled.groups != 1:
        raise InputError(
            f"--group-by-name {pattern!r} has {compiled.groups} groups; put ( ) around the one part that names the "
            "group, as in '^([^_]+)_'"
        )
    return compiled


def _matched(document: Document, row: int, pattern: re.Pattern[str]) -> str:
    name = document.items("images")[row]["file_name"]
    match = pattern.search(name)
    if match is None or match[1] is None:
        raise InputError(
            f"{document.path}: {document.describe('images', row)} does not match --group-by-name {pattern.pattern!r}"
        )
    return match[1]
