"""Write numbers, names and lists for messages and reports."""

from __future__ import annotations

import difflib
import inspect
import math
import reprlib
import unicodedata
from collections.abc import Collection, Sequence
from typing import Any

MAX_NAME_LENGTH = 60  # characters shown of a class or file name
_JOINERS = "\u200c\u200d"  # Persian words and family emoji need them
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet runs a cell that starts like this (CWE-1236)


def printable(text: str) -> str:
    r"""Escape the characters that could steer a terminal or reverse a line (control, bidi, lone surrogates).

    >>> printable("red\x1b[2J\u202e")
    'red\\x1b[2J\\u202e'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape(character) if _steers(character) else character for character in text)


def shorten(name: str, longest: int = MAX_NAME_LENGTH) -> str:
    """Return a name from a file as one short line of printable characters."""
    text = printable(name)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def short_repr(value: Any) -> str:
    """Return `repr(value)`, cut where a hostile value would fill the screen."""
    return reprlib.repr(value)


def docstring_clause(documented: object) -> str:
    """Return the first paragraph of a docstring as the last clause of a message."""
    text = " ".join((inspect.getdoc(documented) or "").split("\n\n")[0].split())
    return text[:1].lower() + text[1:].rstrip(".")


def plural(phrase: str) -> str:
    """Return a noun phrase with its first word in the plural.

    >>> plural("box of a class"), plural("category")
    ('boxes of a class', 'categories')
    """
    noun, space, rest = phrase.partition(" ")
    if noun.endswith("y"):
        return f"{noun[:-1]}ies{space}{rest}"
    return f"{noun}{'es' if noun.endswith(('x', 's')) else 's'}{space}{rest}"


def counted(number: int, one: str, many: str | None = None) -> str:
    """Return a number with its noun; `many` is the plural, if not the first word's.

    >>> counted(1, "box"), counted(1200, "box"), counted(2, "crowd box", "crowd boxes")
    ('1 box', '1,200 boxes', '2 crowd boxes')
    """
    return f"{number:,} {one if number == 1 else many or plural(one)}"


def first_few(items: Sequence[str], shown: int = 5) -> str:
    """Join the first few items, and count the rest.

    >>> first_few(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    more = len(items) - shown
    return ", ".join(items[:shown]) + (f" and {more:,} more" if more > 0 else "")


def json_type(value: Any) -> str:
    """Return the JSON type of a parsed value, with its article.

    >>> json_type({}), json_type(1.5)
    ('an object', 'a number')
    """
    types = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return types.get(type(value), "a number")


def nearest(word: str, known: Collection[str]) -> str | None:
    """Return the known word nearest to a misspelled one, or None if none is near.

    >>> nearest("trian", ["train", "predict"]), nearest("model", ["coder"])
    ('train', None)
    """
    return next(iter(difflib.get_close_matches(word, known, n=1, cutoff=0.7)), None)


def did_you_mean(word: str, known: Collection[str]) -> str:
    """Suggest the known word nearest to a misspelled one, or list all of them.

    >>> did_you_mean("trian", ["train", "predict"])
    "did you mean 'train'?"
    """
    if not known:
        return "none is known here"
    close = nearest(word, known)
    return f"known here: {', '.join(known)}" if close is None else f"did you mean {close!r}?"


def percent(fraction: float) -> str:
    """Write a fraction as a percentage; only 1 reads 100%, and only 0 reads 0%.

    >>> percent(0.9999), percent(1), percent(0.001)
    ('>99.9%', '100%', '0.1%')
    """
    rounded = f"{fraction:.1%}"
    if rounded == "100.0%":
        return "100%" if fraction == 1 else ">99.9%"
    return ("0%" if fraction == 0 else "<0.1%") if rounded == "0.0%" else rounded


def about(number: float) -> str:
    """Return a number above 0, rounded to two digits, such as 180 or 7,600."""
    digits = 1 - math.floor(math.log10(number))
    rounded = round(number, digits)
    return f"{rounded:,.{max(0, digits)}f}"


def duration(seconds: float) -> str:
    """Write seconds as m:ss or h:mm:ss.

    >>> duration(0), duration(59.6), duration(61), duration(3661)
    ('0:00', '1:00', '1:01', '1:01:01')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def three_decimals(value: float | None) -> str:
    """Write a number from 0 to 1 with three decimals, and None as n/a."""
    return "n/a" if value is None else f"{value:.3f}"


def signed(value: float | None) -> str:
    """Write a difference with its sign and three decimals, and None as n/a."""
    return "n/a" if value is None else f"{value:+.3f}"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]], names: int = 1) -> str:
    """Join cells to a GitHub table: the first `names` columns are words, to the left, the others numbers."""
    rule = [":--" if column < names else "--:" for column in range(len(header))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *rows))


def csv_cell(value: object) -> object:
    """Return a value that a spreadsheet shows and never runs: a float has six significant digits."""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, str):
        text = printable(value)
        return f"'{text}" if text.startswith(_FORMULA) else text
    return value


def _steers(character: str) -> bool:
    category = unicodedata.category(character)
    tag = "\U000e0020" <= character <= "\U000e007f"  # spells the flags of regions
    return category in ("Cc", "Zl", "Zp", "Cs") or (category == "Cf" and character not in _JOINERS and not tag)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
