"""One process at a time writes into the folder of a run."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import BinaryIO

from anchorloc.errors import InputError
from anchorloc.files import writing

LOCK = ".lock"

if sys.platform == "win32":
    import msvcrt

    def _lock(file: BinaryIO) -> None:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(file: BinaryIO) -> None:
        # A record lock belongs to this process alone. One by flock() would live on in forked loader workers, which
        # outlive a killed run by some seconds.
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


class RunLock:
    """Holds the folder of a run until `release` or the death of the process, whatever its cause.

    Raises:
        InputError: another process holds it, or the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        with writing(folder / LOCK, 0):
            self._file = (folder / LOCK).open("a+b")
        try:
            _lock(self._file)
        except (BlockingIOError, PermissionError):
            self._file.close()
            raise InputError(
                f"another run writes into {folder}; wait for it or stop it, or give another --out"
            ) from None
        except OSError:
            pass  # a file system without locks: go on, as every other run there does
        self._note_owner()

    def _note_owner(self) -> None:
        """Leave the process id, for a person who looks for the owner; the lock itself does not depend on it."""
        with writing(Path(self._file.name), 0):
            self._file.truncate(0)
            self._file.write(f"{os.getpid()}\n".encode())
            self._file.flush()

    def release(self) -> None:
        """Let others in."""
        self._file.close()
