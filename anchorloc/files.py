"""Read and check files, write them atomically, and make folders for output."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

from anchorloc.errors import InputError

MAX_JSON_BYTES = 1 << 30  # parsing more would take over 10 GB of memory
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")


def exists(word: str) -> bool:
    """Return whether a word names an existing file or folder. A word too long for a file name does not."""
    try:
        return Path(word).exists()
    except (OSError, ValueError):
        return False


def default_output(name: str = "", ending: str = "") -> Path:
    """Return runs/NAME-DATE-TIME, the default output of a command, or runs/DATE-TIME without a name."""
    return Path("runs") / f"{name}{'-' if name else ''}{datetime.now():%Y%m%d-%H%M%S}{ending}"


def refuse_existing(path: Path, option: str = "--out") -> None:
    """Raise InputError if `path` exists, so that no command overwrites files of others."""
    if path.exists() or path.is_symlink():
        raise InputError(f"{path} exists already; give another {option}")


def refuse_filled(folder: Path, option: str = "--out") -> None:
    """Raise InputError unless `folder` is an empty folder or does not exist."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} exists and is not an empty folder; give another {option}")


def make_folder(folder: Path, option: str = "--out") -> None:
    """Make a folder and its parents, unless they exist.

    Raises:
        InputError: the file system refuses.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the folder {folder} cannot be made: {error.strerror}; give another {option}") from None


def make_default_folder(name: str = "") -> Path:
    """Make the folder `default_output`, and if it exists, the first of that name with -2, -3 and so on.

    Commands that start in the same second get different folders: only one of them can make each folder.

    Raises:
        InputError: the file system refuses.
    """
    first = default_output(name)
    make_folder(first.parent)
    for number in count(1):
        folder = first if number == 1 else first.with_name(f"{first.name}-{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        except OSError as error:
            raise InputError(f"the folder {folder} cannot be made: {error.strerror}; give --out") from None
        return folder
    raise AssertionError("unreachable")


@contextmanager
def new_folder(out: Path | None, name: str) -> Iterator[Path]:
    """Make the output folder of a command before its work: `out`, or runs/NAME-DATE-TIME.

    If the work fails before it writes a file, the new folders are removed.

    Raises:
        InputError: `out` exists, or the file system refuses.
    """
    target = out or default_output(name)
    if out is not None:
        refuse_existing(out)
    parents = [one for one in target.parents if not one.exists()]
    folder = make_default_folder(name) if out is None else out
    make_folder(folder)
    try:
        yield folder
    except BaseException:
        with suppress(OSError):  # a folder is not empty
            for one in (folder, *parents):
                one.rmdir()
        raise


def refuse_missing(path: Path) -> None:
    """Raise InputError unless `path` is a regular file."""
    if not path.is_file():  # a FIFO or a device would block or never end
        problem = "is not a regular file" if path.exists() else "does not exist"
        raise InputError(f"{path} {problem}; check the path")


def read_bytes(path: Path, limit: int | None = None) -> bytes:
    """Return the content of a regular file.

    Raises:
        InputError: the file is missing, not a regular file, unreadable or larger than `limit` bytes.
    """
    try:
        refuse_missing(path)
        size = path.stat().st_size
        if limit is not None and size > limit:
            raise InputError(f"{path} has {size:,} bytes, more than the limit of {limit:,}; split the file")
        return path.read_bytes()
    except MemoryError:
        raise InputError(f"{path} has {size:,} bytes and does not fit into memory; give a smaller file") from None
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        if isinstance(error, InputError):
            raise
        raise InputError(f"{str(path)!r} cannot be read: {getattr(error, 'strerror', None) or error}") from None


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
            an integer of more than 300 digits.
    """
    data = read_bytes(path, MAX_JSON_BYTES)

    def constant(name: str) -> float:
        if nan_literals is None:
            raise InputError(f"{path} contains {name}, which is not JSON; replace it by a number")
        nan_literals.append(name)
        return float(name)

    def refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        items = dict(pairs)
        if len(items) < len(pairs):
            twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
            raise InputError(f"{path} has an object with the key {twice!r} twice; keep one")
        for key in skip:
            items.pop(key, None)
        for key, shorten in (condense or {}).items():
            if key in items:
                items[key] = shorten(items)
        return items

    def parse_int(digits: str) -> int:
        if len(digits) > 300:
            raise InputError(f"{path} contains an integer of {len(digits)} digits; use at most 300")
        return int(digits)

    try:
        return json.loads(
            data.decode("utf-8-sig"),
            parse_constant=constant,
            object_pairs_hook=refuse_duplicates,
            parse_int=parse_int,
        )
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InputError(f"{path} is not valid JSON: {error.msg} at {where}") from None
    except RecursionError:
        raise InputError(f"{path} is nested too deeply; give an annotation or result file") from None


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


@contextmanager
def write_errors(path: Path, size: int) -> Iterator[None]:
    """Turn an OSError while `size` bytes are written to `path` into an InputError."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{path} ({size:,} bytes) cannot be written: {error.strerror or error}") from None


def write_bytes(path: Path, data: bytes, backup: Path | None = None) -> None:
    """Write `data` to `path` atomically: at any moment the file has the old or the new content.

    The old content is kept as `backup`, in the same folder, if that is given.

    Raises:
        InputError: the file system refuses; the old content is intact.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")  # same folder: atomic rename
    with write_errors(path, len(data)):
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if backup is not None and path.exists():
                keep_as(path, backup)
            temporary.replace(path)
            _sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def is_temporary(path: Path) -> bool:
    """Return whether a file is an unfinished one of `write_bytes`, by its name."""
    return _TEMPORARY.fullmatch(path.name) is not None


def write_text(path: Path, text: str) -> None:
    """Write text as UTF-8, as `write_bytes` does."""
    write_bytes(path, text.encode("utf-8", errors="surrogatepass"))


def write_json(path: Path, value: Any) -> None:
    """Write a JSON value, as `write_bytes` does.

    Raises:
        ValueError: `value` contains NaN or Infinity, which other readers refuse.
    """
    write_text(path, json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False) + "\n")


def keep_as(path: Path, backup: Path) -> None:
    """Link the file as `backup`, so that `path` stays; rename it on file systems without hard links."""
    backup.unlink(missing_ok=True)
    try:
        backup.hardlink_to(path)
    except OSError:
        path.replace(backup)


def _sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power failure, on POSIX systems."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
