"""Write whole files atomically, and make folders for output."""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

from anchorloc.errors import InputError

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")
_KEPT_OF_NAME = 48  # characters in the name of a temporary file, at most 192 bytes: file systems allow 255
# Seconds between attempts to replace a file: Windows refuses while another program reads it.
_PAUSES: tuple[float, ...] = (0.05, 0.1, 0.2, 0.4, 0.8) if sys.platform == "win32" else ()


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
    temporary = path.with_name(f".{path.name[:_KEPT_OF_NAME]}.{secrets.token_hex(4)}.tmp")  # same folder: atomic rename
    with write_errors(path, len(data)):
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if backup is not None and path.exists():
                keep_as(path, backup)
            _replace(temporary, path)
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
    write_text(path, json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False, default=_plain) + "\n")


def keep_as(path: Path, backup: Path) -> None:
    """Link the file as `backup`, so that `path` stays; rename it on file systems without hard links."""
    backup.unlink(missing_ok=True)
    try:
        backup.hardlink_to(path)
    except OSError:
        path.replace(backup)


def _replace(temporary: Path, path: Path) -> None:
    """Rename a file onto `path`; on Windows, wait up to 1.6 seconds for a program that reads the old one."""
    for pause in _PAUSES:
        try:
            temporary.replace(path)
            return
        except PermissionError:
            time.sleep(pause)
    temporary.replace(path)


def _sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power failure, where the system can."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems sync files alone
            raise
    finally:
        os.close(descriptor)


def _plain(value: Any) -> Any:
    """Return a number or an array of NumPy as Python's."""
    if not hasattr(value, "tolist"):
        raise TypeError(f"{value!r} cannot be written as JSON")
    return value.tolist()
