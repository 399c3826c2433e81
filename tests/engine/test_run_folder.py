"""The folder of a run: new, locked, and cleaned after a killed run."""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from anchorloc.engine.state import run_folder
from anchorloc.engine.state.run_folder import new_run_folder, remove_temporaries
from anchorloc.errors import InputError
from anchorloc.files import write_bytes


def test_run_folders_are_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = new_run_folder(tmp_path / "a" / "b")
    assert folder.is_dir()
    (folder / "config.yaml").touch()
    with pytest.raises(InputError, match="exists already"):
        new_run_folder(folder)
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot be made: Not a directory"):
        new_run_folder(tmp_path / "file" / "deeper" / "run")
    with pytest.raises(InputError, match="cannot be made"):
        new_run_folder(tmp_path / "file" / "run")
    monkeypatch.chdir(tmp_path)
    assert {new_run_folder(None).parent.name, new_run_folder(None).parent.name} == {"runs"}
    assert len(list(Path("runs").iterdir())) == 2


def test_an_empty_folder_is_a_new_one_and_so_is_that_of_a_killed_start(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    for name in (".lock", "environment.json", ".config.yaml.0123abcd.tmp"):
        (tmp_path / "run" / name).touch()
    assert new_run_folder(tmp_path / "run") == tmp_path / "run"
    (tmp_path / "run" / "thesis.tex").touch()
    with pytest.raises(InputError, match="exists already"):
        new_run_folder(tmp_path / "run")


def test_what_a_killed_run_had_not_finished_is_removed_and_nothing_else(tmp_path: Path) -> None:
    names = {".last.pt.0123abcd.tmp": False, ".metrics.json.ffffffff.tmp": False, "notes.tmp": True, ".a.tmp": True}
    for name in names:
        write_bytes(tmp_path / name, b"x")
    remove_temporaries(tmp_path)
    assert {name: (tmp_path / name).exists() for name in names} == names


def test_the_lock_of_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It locks one byte, at the same place for each process, and hides no process id."""
    locked: dict[int, int] = {}  # the place of each locked byte, and the file that holds it

    def locking(descriptor: int, mode: int, count: int) -> None:
        place = os.lseek(descriptor, 0, os.SEEK_CUR)
        if (mode, count) != (2, 1) or place in locked:
            raise PermissionError(13, "Permission denied")
        locked[place] = descriptor

    monkeypatch.setitem(sys.modules, "msvcrt", SimpleNamespace(locking=locking, LK_NBLCK=2))
    monkeypatch.setattr(sys, "platform", "win32")
    windows: Any = SimpleNamespace(**runpy.run_path(run_folder.__file__))
    lock = windows.RunLock(tmp_path)
    assert (tmp_path / ".lock").read_bytes() == f"{os.getpid()}\n".encode()
    with pytest.raises(InputError, match=r"another run writes into .*; wait for it, stop it, or give another --out"):
        windows.RunLock(tmp_path)
    assert min(locked) > 100
    lock.release()
    locked.clear()  # as Windows does when the file is closed
    windows.RunLock(tmp_path).release()
    assert (tmp_path / ".lock").read_bytes() == f"{os.getpid()}\n".encode()
