"""Benchmarks write into the checkout only when asked."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest

from benchmarks import box_accuracy, timing

SCRIPTS = [
    path
    for path in sorted(Path(timing.__file__).parent.glob("*.py"))
    if path.stem != "timing" and any(word in path.read_text() for word in ("RESULTS", "write_table(", "table_of_runs("))
]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_every_benchmark_with_results_has_the_option(path: Path) -> None:
    text = path.read_text()
    assert "recording_parser(__doc__)" in text
    if "RESULTS /" in text or "write_table(" in text:
        assert ".record" in text


def test_a_table_is_printed_and_written_only_to_record_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(timing, "RESULTS", tmp_path)
    box_accuracy.main(["--boxes", "5"])
    printed = capsys.readouterr().out
    assert printed.startswith("| type | boxes | measure |")
    assert not list(tmp_path.iterdir())
    box_accuracy.main(["--boxes", "5", "--record"])
    assert capsys.readouterr().out == printed
    assert (tmp_path / "box_accuracy.csv").read_text().splitlines()[0].startswith("# command: ")


def test_the_table_of_long_runs_is_beside_them_unless_it_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing, "RESULTS", tmp_path)
    out = Path("runs/accuracy")
    given = Namespace(table=None, out=out, record=False)
    assert timing.table_of_runs(given, "accuracy") == out / "accuracy.csv"
    assert timing.table_of_runs(Namespace(**(vars(given) | {"record": True})), "accuracy") == tmp_path / "accuracy.csv"
    assert timing.table_of_runs(Namespace(**(vars(given) | {"table": out})), "accuracy") == out
