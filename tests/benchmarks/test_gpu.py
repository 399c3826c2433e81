"""benchmarks.gpu at its tiny size on the CPU: every check runs, and both files are written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import gpu
from tests.engine.small_runs import SMALL


def test_every_check_runs_and_is_recorded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    network = [word for word in SMALL if word.startswith("detector.")]
    for name in ("SMALL", "LAST_BIT"):
        monkeypatch.setattr(gpu, name, [*getattr(gpu, name), *network])
    assert gpu.main(["--rehearse", "--device", "cpu", "--out", str(tmp_path / "new")]) == 0
    record = json.loads((tmp_path / "new" / "gpu.json").read_text())
    rows = {row["check"]: row for row in record["rows"]}
    assert record["device"] == "CPU"
    assert "torch " in record["versions"]
    assert rows["tensors and numbers that differ after a stop and resume"]["value"] == 0
    assert rows["relative difference of the weights under DistributedDataParallel"]["value"] == 0
    assert rows["ATSSAssigner: relative difference of the losses from the CPU's"]["value"] == 0
    assert rows["TaskAlignedAssigner: greatest difference of a logit or an offset"]["passed"] is True
    assert rows["times that a step waits for the device"]["value"] is None
    assert rows["weights that change by a NaN"]["value"] == 0
    assert rows["training: steps"]["value"] == 2
    assert rows["ResNet-18 FPN, 64 px: times as fast as torchvision"]["value"] > 0
    table = (tmp_path / "new" / "gpu.csv").read_text()
    assert "seconds, all" in table
    assert "| training: AP on val |" in capsys.readouterr().out


def test_a_bound_that_is_not_kept_fails() -> None:
    assert gpu.at_most("weights", 2e-3, 1e-3).cells() == {
        "check": "weights",
        "value": "0.002",
        "bound": "at most 0.001",
        "kept": "no",
    }
    assert gpu.at_most("weights", 1e-3, 1e-3).passed is True
    assert gpu.at_most("weights", float("nan"), 1e-3).passed is False
