"""File names that are nearly equal: what tools and file systems change, and what else looks alike."""

from __future__ import annotations

import difflib
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import unquote

from anchorloc.text import shorten

COMPARED: Final = 5000  # names that are compared letter by letter with one that is missing
SHOWN: Final = 3
SIMILAR: Final = 0.75  # ratio of difflib for names without their suffix


def with_slashes(name: str) -> str:
    """Return a name with slashes for backslashes."""
    return name.replace("\\", "/")


def last_part(name: str) -> str:
    """Return a name without its folders, whichever slashes it has."""
    return PurePosixPath(with_slashes(name)).name


def loosely(name: str) -> str:
    """Return a name without what tools and file systems change: case, Unicode form, URL quoting, blanks around it."""
    return unicodedata.normalize("NFC", unquote(with_slashes(name))).strip().casefold()


class NearestNames:
    """The names of the files of a folder, for errors about names that it lacks."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = sorted((last_part(loosely(name)), name) for name in names)

    def hint(self, missing: str) -> str:
        """Return the words that an error about a missing file ends with, a blank before them; "" if no name is near."""
        wanted = last_part(loosely(missing))
        place = bisect_left(self._names, (wanted, ""))
        names = self._names[max(0, place - COMPARED // 2) : place + COMPARED // 2]
        near = [name for last, name in names if last == wanted]
        if not near:
            stems = {PurePosixPath(last).stem: name for last, name in names}
            near = [stems[one] for one in difflib.get_close_matches(PurePosixPath(wanted).stem, stems, SHOWN, SIMILAR)]
        shown = [f"{shorten(name)}{_letters(name, missing)}" for name in near[:SHOWN]]
        return f" (nearest: {', '.join(shown)})" if shown else ""


def _letters(there: str, stated: str) -> str:
    """Return how two names that look alike differ: by Unicode form, or by code points; "" for plain letters."""
    names = last_part(there), last_part(stated)
    if all(name.isascii() for name in names):
        return ""
    if unicodedata.normalize("NFC", names[0]) == unicodedata.normalize("NFC", names[1]):
        forms = [_form(name) for name in names]
        return f" in Unicode form {forms[0]}, stated in {forms[1]}" if forms[0] != forms[1] else ""
    return f", in code points {names[0]!a}, stated as {names[1]!a}"


def _form(name: str) -> str:
    return next((form for form in ("NFC", "NFD") if unicodedata.is_normalized(form, name)), "neither NFC nor NFD")
