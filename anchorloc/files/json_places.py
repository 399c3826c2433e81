"""Find where in a JSON text a mistake is, once the parser has met it."""

from __future__ import annotations

import json
import re

_STRING = r'"[^"\\]*(?:\\.[^"\\]*)*"'
_TOKEN = re.compile(rf'{_STRING}|[{{}}\[\],:]|[^\s{{}}\[\],:"]+', re.DOTALL)


def place(text: str, offset: int, before: int = 0) -> str:
    """Return where an offset is: "at images[3].width (line 7, column 12, byte 123)".

    Args:
        text: the file, decoded.
        offset: in characters.
        before: the bytes of the file before the text: its byte order mark.
    """
    path: list[int | str] = []  # for each open list the index, for each open object the key
    last = ""
    for match in _TOKEN.finditer(text, 0, offset):
        token = match[0]
        if token in ("{", "["):
            path.append("" if token == "{" else 0)
        elif token in ("}", "]") and path:
            path.pop()
        elif token == "," and path:
            index = path[-1]
            path[-1] = index + 1 if isinstance(index, int) else ""
        elif token == ":" and path:
            path[-1] = last[1:-1]
        last = token
    item = "".join(f"[{one}]" if isinstance(one, int) else f".{one}" for one in path if one != "").lstrip(".")
    line, column = text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)
    byte = before + len(text[:offset].encode("utf-8", "surrogatepass"))
    where = f"line {line}, column {column}, byte {byte:,}"
    return f"at {item} ({where})" if item else f"at {where}"


def literal(text: str, word: str) -> int:
    """Return the offset of a number or name that stands outside of the strings of a JSON text."""
    found = re.compile(rf"{_STRING}|(?<![\w.+-])({re.escape(word)})(?![\w.])", re.DOTALL).finditer(text)
    return next((match.start(1) for match in found if match[1]), 0)


def repeated_key(text: str) -> tuple[int, str]:
    """Return the offset of the first key that its object has already, and the key."""
    keys: list[set[str]] = []  # one set for each open list or object
    last, start = "", 0
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token in ("{", "["):
            keys.append(set())
        elif token in ("}", "]") and keys:
            keys.pop()
        elif token == ":" and keys:
            key = str(json.loads(last)) if "\\" in last else last[1:-1]
            if key in keys[-1]:
                return start, key
            keys[-1].add(key)
        last, start = token, match.start()
    return 0, ""


def after(text: str, offset: int) -> bool:
    """Return whether a JSON value on a line of its own begins at an offset: the second of JSON Lines."""
    return text[:offset].rstrip(" \t\r").endswith("\n") and text[offset : offset + 1] in ("{", "[")
