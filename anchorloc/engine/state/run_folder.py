"""The folder of a run: its settings and environment, locked while a process writes into it."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO

from anchorloc.config import Config, read_config, read_saved_config, to_yaml
from anchorloc.errors import InputError
from anchorloc.files import (
    is_temporary,
    make_default_folder,
    make_folder,
    refuse_missing,
    write_errors,
    write_json,
    write_text,
)
from anchorloc.text import printable

PACKAGES = ("anchorloc", "torch", "torchvision", "numpy", "numba", "pycocotools", "pillow")
CONFIG, ENVIRONMENT, LOCK = "config.yaml", "environment.json", ".lock"
LOCKED_BYTE = 1 << 20  # on Windows; the file need not be that long
CHECKPOINTS = ("best.pt", "last.pt")  # the one to use of a run comes first

if sys.platform == "win32":
    import msvcrt

    def _lock(file: BinaryIO) -> None:
        # No other process can read a locked byte, so it lies beyond the process id, at one place for all processes.
        os.lseek(file.fileno(), LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(file: BinaryIO) -> None:
        # A record lock belongs to this process alone. A lock by flock(), as filelock takes it, would live on in forked
        # loader workers, which outlive a killed run by some seconds.
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def find_checkpoint(path: Path, say: Callable[[str], None] | None = None) -> Path:
    """Return the checkpoint in the folder of a run, best.pt or else last.pt, and say which; a file is itself.

    Raises:
        InputError: a folder holds no checkpoint, or the file is missing.
    """
    if not path.is_dir():
        refuse_missing(path)
        return path
    for name in CHECKPOINTS:
        if (path / name).is_file():
            if say is not None:
                say(printable(f"checkpoint: {path / name}"))
            return path / name
    raise InputError(f"{path} has no {' or '.join(CHECKPOINTS)}; give the folder of a run, or a checkpoint")


def new_run_folder(out: Path | None) -> Path:
    """Create the folder of a new run: `out`, or runs/DATE-TIME.

    Raises:
        InputError: the folder is used already, or cannot be created.
    """
    if out is None:
        return make_default_folder()
    refuse_used_folder(out)
    make_folder(out)
    return out


def refuse_used_folder(folder: Path | None) -> None:
    """Raise InputError if `folder` holds anything: a run overwrites nothing.

    An empty folder may be used, and one whose run was killed before its settings were written.
    """
    try:
        if folder is None or not folder.exists() or (folder.is_dir() and all(map(_is_written_first, folder.iterdir()))):
            return
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror}; give another --out") from None
    raise InputError(f"{folder} exists already; give another --out, or --resume to resume its run")


def create_run_folder(out: Path | None, config: Config, command: str) -> tuple[Path, RunLock]:
    """Create the folder of a new run, lock it, and write environment.json and, last, config.yaml.

    Raises:
        InputError: the folder is used already, another run takes it at this moment, or the file system refuses.
    """
    folder = new_run_folder(out)
    lock = RunLock(folder)
    try:
        refuse_used_folder(folder)  # now that nobody else can fill it
        remove_temporaries(folder)
        write_json(folder / ENVIRONMENT, _environment(command))
        write_config(folder, config, command)
    except InputError:
        lock.release()
        raise
    return folder, lock


def read_run_config(folder: Path, path: Path | None, overrides: Sequence[str]) -> Config:
    """Return the settings to resume the run in `folder` with: the config `path`, or else its own.

    Raises:
        InputError: there is no run, or the settings are invalid.
    """
    saved = folder / CONFIG
    if not saved.is_file():
        raise InputError(
            f"{folder} is not the folder of a run: it has no {CONFIG}; correct --out, or start a run without --resume"
        )
    return read_config(path, overrides) if path else read_saved_config(saved, overrides)


def write_config(folder: Path, config: Config, command: str) -> None:
    """Write config.yaml: the command as a comment, then every setting, resolved."""
    write_text(folder / CONFIG, f"# {command}\n" + to_yaml(config))


def remove_temporaries(folder: Path) -> None:
    """Remove the unfinished files of a killed run."""
    for path in filter(is_temporary, folder.iterdir()):
        path.unlink(missing_ok=True)


def _is_written_first(path: Path) -> bool:
    return path.name in (LOCK, ENVIRONMENT) or is_temporary(path)


def _environment(command: str) -> dict[str, str]:
    return {
        "command": command,
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        **{name: version(name) for name in PACKAGES},
    }


class RunLock:
    """A lock on the folder of a run, held until `release` or the end of the process.

    Raises:
        InputError: another process holds it, or the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        with write_errors(folder / LOCK, 0):
            self._file = (folder / LOCK).open("a+b")
        try:
            _lock(self._file)
        except (BlockingIOError, PermissionError):
            self._file.close()
            raise InputError(f"another run writes into {folder}; wait for it, stop it, or give another --out") from None
        except OSError:
            pass  # a file system without locks
        self._note_owner()

    def _note_owner(self) -> None:
        """Write the process id for people who look for the owner; the lock does not depend on it."""
        with write_errors(Path(self._file.name), 0):
            self._file.truncate(0)
            self._file.write(f"{os.getpid()}\n".encode())
            self._file.flush()

    def release(self) -> None:
        """Release the lock."""
        self._file.close()
