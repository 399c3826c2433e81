"""Read files: bytes, text, JSON. What a file holds instead is named in the refusal."""

from __future__ import annotations

import codecs
import gc
import hashlib
import io
import json
import re
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from stat import S_ISREG
from typing import Any

from anchorloc.errors import InputError
from anchorloc.files.json_places import after, literal, place, repeated_key
from anchorloc.files.signatures import foreign_content

_LONG_INTEGER = re.compile(r"\d{301}")
_BLOCK = 150  # characters; a number of 301 digits fills at least one block of a text
MAX_JSON_BYTES = 1 << 30  # parsing more would take over 10 GB of memory


def exists(word: str) -> bool:
    """Return whether a word names an existing file or folder. A word too long for a file name does not."""
    try:
        return Path(word).exists()
    except (OSError, ValueError):
        return False


def refuse_missing(path: Path) -> None:
    """Raise InputError unless `path` is a regular file."""
    if not path.is_file():  # a FIFO or a device would block or never end
        problem = "is not a regular file" if path.exists() else "does not exist"
        raise InputError(f"{path} {problem}; check the path")


def read_bytes(path: Path, limit: int | None = None, start: int = -1) -> bytes:
    """Return the content of a regular file, or only its first `start` bytes.

    Raises:
        InputError: the file is missing, not a regular file, unreadable or larger than `limit` bytes.
    """
    size = 0
    try:
        status = path.stat()
        size = status.st_size
        if not S_ISREG(status.st_mode):  # a FIFO or a device would block or never end
            raise InputError(f"{path} is not a regular file; check the path")
        if limit is not None and size > limit:
            raise InputError(f"{path} has {size:,} bytes, more than the limit of {limit:,}; split the file")
        with path.open("rb") as file:
            return file.read(start)
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{path} does not exist; check the path") from None
    except MemoryError:
        raise InputError(f"{path} has {size:,} bytes and does not fit into memory; give a smaller file") from None
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        if isinstance(error, InputError):
            raise
        raise InputError(f"{str(path)!r} cannot be read: {getattr(error, 'strerror', None) or error}") from None


def read_text(path: Path, limit: int | None = None) -> str:
    """Return the content of a UTF-8 file, without its byte order mark.

    Raises:
        InputError: as `read_bytes`, or the file is not UTF-8 text; the message names what it is instead.
    """
    return decode(path, read_bytes(path, limit))


def decode(path: Path, data: bytes) -> str:
    """Return the content of a file as text, as `read_text` does."""
    if foreign := foreign_content(data):
        raise InputError(f"{path} is {foreign}")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8") from None


def read_json(
    path: Path,
    skip: Collection[str] = (),
    condense: Mapping[str, Callable[[dict[str, Any]], Any]] | None = None,
    nan_literals: list[str] | None = None,
) -> Any:
    """Parse a UTF-8 JSON file, with or without a byte order mark.

    Args:
        skip: keys to drop from all objects while parsing, so that large values such as masks take no memory.
        condense: keys whose value becomes what a function makes of their object, to save memory.
        nan_literals: if given, NaN and Infinity are accepted and their names appended to this list.

    Raises:
        InputError: the file is unreadable or not JSON, an object repeats a key, or the file contains NaN, Infinity or
            an integer of more than 300 digits. The message gives the item, the key and the byte.
    """
    data = read_bytes(path, MAX_JSON_BYTES)
    text = decode(path, data)
    start = len(codecs.BOM_UTF8) if data.startswith(codecs.BOM_UTF8) else 0
    del data

    def constant(name: str) -> float:
        if nan_literals is None:
            where = place(text, literal(text, name), start)
            raise InputError(f"{path} contains {name}, which is not JSON, {where}; replace it by a number")
        nan_literals.append(name)
        return float(name)

    def refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        items = dict(pairs)
        if len(items) < len(pairs):
            offset, key = repeated_key(text)
            raise InputError(f"{path} has an object with the key {key!r} twice, {place(text, offset, start)}; keep one")
        return items

    def reduce(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        items = refuse_duplicates(pairs)
        for key in skip:
            items.pop(key, None)
        for key, shorten in (condense or {}).items():
            if key in items:
                items[key] = shorten(items)
        return items

    def parse_int(digits: str) -> int:
        if len(digits) > 300:
            where = place(text, literal(text, digits), start)
            raise InputError(f"{path} contains an integer of {len(digits)} digits, {where}; use at most 300")
        return int(digits)

    try:
        hook = reduce if skip or condense else refuse_duplicates
        whole = parse_int if _has_long_integer(text) else None  # a call for each integer takes time
        with collector_paused():
            return json.loads(text, parse_constant=constant, object_pairs_hook=hook, parse_int=whole)
    except json.JSONDecodeError as error:
        if not text.strip():
            raise InputError(f"{path} is empty; write or export it again") from None
        if error.msg == "Extra data" and after(text, error.pos):
            raise InputError(
                f"{path} holds several JSON values, one a line (JSON Lines); write them as one list"
            ) from None
        raise InputError(
            f"{path} is not valid JSON: {error.msg} {place(text, error.pos, start)}; correct it or export it again"
        ) from None
    except RecursionError:
        raise InputError(f"{path} is nested too deeply; give an annotation or result file") from None


@contextmanager
def collector_paused() -> Iterator[None]:
    """Pause Python's garbage collector: new labels have no cycles, and each pass searches all of them again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _has_long_integer(text: str) -> bool:
    """Return whether a text has 301 digits in a row; searching for them at every character takes as long as parsing."""
    filled = any(text[start : start + _BLOCK].isdigit() for start in range(0, len(text), _BLOCK))
    return filled and _LONG_INTEGER.search(text) is not None


def unpacked_size(data: bytes) -> int:
    """Return the bytes of all entries of a ZIP archive, as it states them; 0 for other files."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, ValueError, RuntimeError):  # who reads the file says what is wrong
        return 0


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
