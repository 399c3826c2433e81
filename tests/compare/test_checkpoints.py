"""`anchorloc compare` on checkpoints and folders of runs, which may know different classes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from anchorloc.cli import run_command
from anchorloc.compare import __main__ as compare
from anchorloc.engine.evaluation import detect
from anchorloc.engine.trained_model import load_model
from anchorloc.metrics import evaluate
from tests.detector.random_models import CLASSES, save_random

DATA = "data={train_images: 2, val_images: 12, size: 96}"


def run(*words: object) -> int:
    return run_command(compare.main, [str(word) for word in words])


def test_runs_are_compared_by_the_classes_that_both_know(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "old").mkdir()
    old = save_random(tmp_path / "old" / "best.pt", DATA, classes=(CLASSES[2], CLASSES[0], (9, "house")))
    new = save_random(tmp_path / "new.pt", DATA)
    out = tmp_path / "out"
    assert run(f"old={old.parent}", new, "--out", out) == 0
    error = capsys.readouterr().err
    assert "warning: old does not know rectangle, cross; the comparison leaves these classes out" in error
    assert error.count("warning: ") == 1
    record = json.loads((out / "comparison.json").read_text(encoding="utf-8"))
    (pair,) = record["pairs"]
    assert (pair["name"], pair["against"]) == ("new", "old")
    assert [one["score"] for one in pair["classes"]] == ["ellipse", "triangle"]
    model = load_model(new)
    source = model.config.data.open("val")
    found, _ = detect(model, source)
    targets = [source.target(index) for index in range(len(source))]
    expected = evaluate(targets, found, source.categories, max_detections=(1, 10, 100)).classes
    by_name: dict[str, Any] = {one.category.name: one.ap for one in expected}
    assert {one["score"]: one["value"] for one in pair["classes"]} == pytest.approx(
        {name: by_name[name] for name in ("ellipse", "triangle")}
    )
    assert pair["scores"][0]["value"] == pytest.approx((by_name["ellipse"] + by_name["triangle"]) / 2)
    assert len(json.loads((out / "detections-1.json").read_text(encoding="utf-8"))) > 0


def test_a_model_of_other_data_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It may have been trained on the images that it is scored on."""
    old = save_random(tmp_path / "old.pt", DATA, "data.seed=3")
    new, newer = save_random(tmp_path / "new.pt", DATA), save_random(tmp_path / "newer.pt", DATA)
    assert run(old, new, "--out", tmp_path / "out") == 0
    assert "warning: old was trained with other data than new, on whose images" in capsys.readouterr().err
    assert run(new, newer, "--out", tmp_path / "same") == 0
    assert "other data" not in capsys.readouterr().err


def test_mistakes_with_checkpoints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = save_random(tmp_path / "one.pt", DATA)
    other = save_random(tmp_path / "other.pt", DATA, classes=((1, "house"),))
    (tmp_path / "empty").mkdir()
    for words, message in (
        ([one], "one is the only name"),
        ([one, one], "one.pt is given twice"),
        ([other, one], "the checkpoints and the data of one have no class in common; compare others"),
        ([tmp_path / "empty", one], "empty has no best.pt or last.pt"),
        ([one, other, "--annotations", one], "--annotations needs result files; remove it"),
        ([one, tmp_path / "none.pt"], "none.pt does not exist"),
    ):
        assert run(*words, "--out", tmp_path / "out") == 2
        error = capsys.readouterr().err
        assert message in error.splitlines()[-1]
        assert not (tmp_path / "out").exists()
