"""Mutated files are read or refused; `python -m benchmarks.fuzz_files` tries 13,500."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import fuzz_files
from benchmarks.fuzz_files import KINDS, fuzz


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_but_the_projects_own_error_comes_of_a_mutated_file(tmp_path: Path, kind: str) -> None:
    number = KINDS[kind][0] // 50
    counts = fuzz(kind, number, 1, tmp_path)
    assert counts.keys() <= {"read", "refused", "slow"}, counts  # nothing is timed here
    assert counts["read"] + counts["refused"] == number
    assert counts["refused"] > number / 10


def test_another_exception_would_be_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(path: Path) -> None:
        path.read_text(encoding="ascii")
        path.write_bytes(b"changed")

    monkeypatch.setitem(fuzz_files.KINDS, "images", (2, fuzz_files.image_files, careless))
    assert fuzz("images", 2, 0, tmp_path)["other exceptions"] == 2
