"""The folder of a run: new, locked, and cleaned after a killed run."""

from __future__ import annotations

from pathlib import Path

import pytest

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
