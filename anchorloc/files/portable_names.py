"""Names of files on systems other than this one."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_FORBIDDEN: Final = re.compile(r'[<>:"|?*\\\x00-\x1f]')  # on Windows
_DEVICES: Final = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]) *(\..*)?", re.IGNORECASE)


def portable_name(name: str) -> str:
    """Return the name of a file or folder as Windows takes it: `12:30.jpg` as `12_30.jpg`, `aux.jpg` as `_aux.jpg`."""
    plain = _FORBIDDEN.sub("_", name).rstrip(". ") or "_"
    return f"_{plain}" if _DEVICES.fullmatch(plain) else plain


def folded_name(name: str) -> str:
    """Return what two names have in common that are one file on Windows or macOS, blind to case and Unicode form."""
    return unicodedata.normalize("NFC", name.casefold())
