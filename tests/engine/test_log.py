"""The log of a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from anchorloc.engine.system.log import MetricsLog
from anchorloc.errors import InputError
from tests.engine.small_runs import run, small


def test_the_log_can_be_read_by_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anchorloc.engine.training.LOG_EVERY", 2)
    run(small("train.length=4 iterations"), tmp_path / "run")
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    steps = [row for row in rows if "loss" in row]
    assert [row["step"] for row in steps] == [2, 4]
    assert all(row["loss"] == pytest.approx(row["classification_loss"] + row["box_loss"]) for row in steps)
    assert {"val/AP", "val/AP50", "val/loss", "epoch", "seconds"} <= set(rows[-1])
    assert list((tmp_path / "run" / "tensorboard").glob("events*"))


def test_a_log_that_lost_lines_is_refused(tmp_path: Path) -> None:
    run(small("train.length=4 iterations"), tmp_path / "run")
    (tmp_path / "run" / "metrics.jsonl").write_text("")
    with pytest.raises(InputError, match=r"metrics\.jsonl has 0 bytes, less than the"):
        run(small("train.length=4 iterations"), tmp_path / "run", resume=True)


def test_a_log_names_the_file_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "tensorboard").write_text("in the way")
    with pytest.raises(InputError, match=r"tensorboard.* cannot be written"):
        MetricsLog(tmp_path)
