"""Read JSON with suspicion, write files whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from anchorloc.errors import InputError

MAX_JSON_BYTES = 1 << 30  # past this, parsing alone would take some 10 GB of memory
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")


def exists(word: str) -> bool:
    """Return whether a word names an existing file or folder; a word that is too long for a name does not."""
    try:
        return Path(word).exists()
    except (OSError, ValueError):
        return False


def default_output(name: str, ending: str = "") -> Path:
    """Return runs/NAME-DATE-TIME, where a command writes unless told otherwise."""
    return Path("runs") / f"{name}-{datetime.now():%Y%m%d-%H%M%S}{ending}"


def refuse_existing(path: Path, option: str = "--out") -> None:
    """Raise InputError if there is something at `path`: no command overwrites what it has not written."""
    if path.exists() or path.is_symlink():
        raise InputError(f"{path} exists already; give another {option}")


def refuse_filled(folder: Path, option: str = "--out") -> None:
    """Raise InputError unless `folder` is an empty folder or does not exist yet."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} exists and is not an empty folder; give another {option}")


def make_folder(folder: Path, option: str = "--out") -> None:
    """Make a folder and those above it; one that exists is taken.

    Raises:
        InputError: the file system refuses.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the folder {folder} cannot be made: {error.strerror}; give another {option}") from None


@contextmanager
def new_folder(out: Path | None, name: str) -> Iterator[Path]:
    """Make the folder of a command's output before the work: `out`, or runs/NAME-DATE-TIME.

    If the work fails before it writes anything, the folders that were made are removed.

    Raises:
        InputError: there is something at `out` already, or the file system refuses.
    """
    folder = out or default_output(name)
    refuse_existing(folder)
    made = [one for one in (folder, *folder.parents) if not one.exists()]
    make_folder(folder)
    try:
        yield folder
    except BaseException:
        with suppress(OSError):  # one of them holds something
            for one in made:
                one.rmdir()
        raise


def read_bytes(path: Path, limit: int | None = None) -> bytes:
    """Return what the regular file at `path` holds.

    Raises:
        InputError: it is missing, not a regular file, unreadable or larger than `limit` bytes.
    """
    try:
        if not path.is_file():  # a FIFO or a device would block or never end
            problem = "is not a regular file" if path.exists() else "does not exist"
            raise InputError(f"{path} {problem}; check the path")
        size = path.stat().st_size
        if limit is not None and size > limit:
            raise InputError(f"{path} has {size:,} bytes, more than the {limit:,} that are read; split the file")
        return path.read_bytes()
    except MemoryError:
        raise InputError(f"{path} has {size:,} bytes, more than memory holds; give another file") from None
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        if isinstance(error, InputError):
            raise
        raise InputError(f"{str(path)!r} cannot be read: {getattr(error, 'strerror', None) or error}") from None


def read_json(
    path: Path, skip: Collection[str] = (), condense: Collection[str] = (), constants: list[str] | None = None
) -> Any:
    """Parse a UTF-8 JSON file (a byte order mark is accepted).

    Keys of objects in `skip` are dropped while parsing, so that big values nobody needs (masks) take no memory. Of
    those in `condense` it is kept whether they hold anything: True or False. NaN and Infinity,
    which are not JSON but what Python writes, are read where a list of `constants` is given, and added to it.

    Raises:
        InputError: the file is unreadable, is not JSON, repeats a key in an object, or holds NaN, Infinity or an
            integer of hundreds of digits.
    """
    data = read_bytes(path, MAX_JSON_BYTES)

    def constant(name: str) -> float:
        if constants is None:
            raise InputError(f"{path} holds {name}, which is not JSON; replace it by a number")
        constants.append(name)
        return float(name)

    def refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        items = dict(pairs)
        if len(items) < len(pairs):
            twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
            raise InputError(f"{path} has an object with the key {twice!r} twice; keep one")
        for key in skip:
            items.pop(key, None)
        for key in condense:
            if key in items:
                items[key] = bool(items[key])
        return items

    def parse_int(digits: str) -> int:
        if len(digits) > 300:
            raise InputError(f"{path} holds an integer of {len(digits)} digits; no id or size needs that")
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
        raise InputError(f"{path} nests too deep to be an annotation or result file") from None


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal.

    Raises:
        InputError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None


@contextmanager
def writing(path: Path, size: int) -> Iterator[None]:
    """Tell in one sentence why `size` bytes cannot be written to `path` (full, read-only, missing folder).

    Raises:
        InputError: instead of an OSError.
    """
    try:
        yield
    except OSError as error:
        raise InputError(f"{path} ({size:,} bytes) cannot be written: {error.strerror or error}") from None


def write_bytes(path: Path, data: bytes, aside: Path | None = None) -> None:
    """Write `data` to `path` so that at every moment the old or the new content is there, never a part.

    The old content, if there is any, stays under the name `aside` in the same folder, if that is given.

    Raises:
        InputError: the file system refuses; the old content is intact.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")  # the same folder: rename stays atomic
    with writing(path, len(data)):
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if aside is not None and path.exists():
                _set_aside(path, aside)
            temporary.replace(path)
            _sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def is_temporary(path: Path) -> bool:
    """Tell whether the name is one that `write_bytes` gives to a file that is not whole yet."""
    return _TEMPORARY.fullmatch(path.name) is not None


def write_text(path: Path, text: str) -> None:
    """`write_bytes` for text, as UTF-8."""
    write_bytes(path, text.encode("utf-8", errors="surrogatepass"))


def write_json(path: Path, value: Any) -> None:
    """`write_bytes` for a JSON value; NaN and Infinity are a ValueError, since other readers refuse them."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False) + "\n")


def _set_aside(path: Path, aside: Path) -> None:
    """Give the file a second name, which keeps the first one there; where links are not known, rename it."""
    aside.unlink(missing_ok=True)
    try:
        aside.hardlink_to(path)
    except OSError:
        path.replace(aside)


def _sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut, where the system can."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
