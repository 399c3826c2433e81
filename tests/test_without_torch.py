"""Help and mistakes are answered without torch, which takes seconds to load."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from anchorloc.__main__ import COMMANDS
from anchorloc.data import ShapesData
from anchorloc.data.coco_export import write_coco
from tests.detector.random_models import save_random
from tests.python_processes import run_command_line


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a checkpoint, an image, annotations, results and the folder of a run."""
    folder = tmp_path_factory.mktemp("desk")
    save_random(folder / "best.pt")
    data = ShapesData(train_images=2, val_images=2, size=96)
    write_coco({"train": data.open("train"), "val": data.open("val")}, folder / "data")
    (folder / "val.json").write_bytes((folder / "data" / "annotations" / "instances_val.json").read_bytes())
    (folder / "results.json").write_text("[]")
    (folder / "mine.yaml").write_text("train: {sede: 1}")
    (folder / "run").mkdir()
    (folder / "run" / "config.yaml").write_text("train: {seed: 1}")
    common = {"train": {"length": "2 iterations"}, "data": {"train_imags": 3}}
    study = {"common": common, "seeds": 2, "baseline": "a", "settings": {"a": {}, "b": {"train": {"ema": 0}}}}
    (folder / "study.yaml").write_text(json.dumps(study))
    return folder


LAB = ("report", "fit", "compare", "sheet")
HELP = [(), *((name,) for name in COMMANDS), *(("lab", name) for name in LAB)]
MISSING = [
    ("train", "gone.yaml"),
    ("train", "--resume", "--out", "run", "gone.yaml"),
    ("evaluate", "gone.pt"),
    ("evaluate", "gone.yaml", "detector.weights=best.pt"),
    ("evaluate", "--detections", "gone.json", "--annotations", "val.json"),
    ("evaluate", "--detections", "results.json", "--annotations", "gone.json"),
    ("evaluate", "--detections", "results.json", "--annotations", "val.json", "--images", "gone"),
    ("predict", "gone.pt", "data/images"),
    ("predict", "best.pt", "gone.png"),
    ("predict", "best.pt", "data/images", "--annotations", "gone.json"),
    ("export", "gone.pt", "model.onnx"),
    ("export", "best.pt", "model.onnx", "--images", "gone"),
    ("compare", "gone.yaml"),
    ("lab", "report", "gone.yaml"),
    ("lab", "fit", "gone.json"),
    ("doctor", "gone.json"),
    ("doctor", "val.json", "--images", "gone"),
    ("doctor", "val.json", "--val", "gone.json"),
]
MISSPELT_OPTIONS = [("trian",), *((*words, "--hlp") for words in HELP[1:])]
MISSPELT_SETTINGS = [
    ("train", "--resume", "--out", "gone"),
    ("train", "train.sede=1"),
    ("train", "mine.yaml"),
    ("train", "--resume", "--out", "run", "train.sede=1"),
    ("evaluate", "best.pt", "decode.nms_io=0.5"),
    ("evaluate", "mine.yaml"),
    ("predict", "best.pt", "data/images", "decode.nms_io=0.5"),
    ("export", "best.pt", "model.onnx", "decode.nms_io=0.5"),
    ("compare", "study.yaml"),
    ("lab", "report", "train.sede=1"),
    ("lab", "fit", "mine.yaml"),
    ("lab", "compare", "mine.yaml", "study.yaml"),
    ("lab", "sheet", "train.sede=1"),
]


@pytest.mark.parametrize("words", [*((*words, "--help") for words in HELP), ("lab",)], ids=" ".join)
def test_help_loads_no_torch(words: Sequence[str]) -> None:
    status, torch, output, _ = run_command_line(*words)
    assert (status, torch) == (0, False)
    assert output.startswith(("usage: ", "See what anchors"))
    assert f"anchorloc {' '.join(words[:-1])}" in output


def test_a_command_that_builds_a_network_loads_torch(desk: Path) -> None:
    """The counter-check of the tests here: a process sees that torch was loaded."""
    status, torch, _, _ = run_command_line("lab", "sheet", "--out", "sheet.jpg", folder=desk)
    assert (status, torch) == (2, True)


@pytest.mark.parametrize("words", [*MISSING, *MISSPELT_OPTIONS], ids=" ".join)
def test_a_missing_file_or_a_wrong_option_is_reported_without_torch(desk: Path, words: Sequence[str]) -> None:
    errors = refused(desk, words)
    assert words not in MISSING or "gone" in errors


@pytest.mark.parametrize("words", MISSPELT_SETTINGS, ids=" ".join)
def test_a_wrong_setting_is_reported_without_torch(desk: Path, words: Sequence[str]) -> None:
    assert any(name in refused(desk, words) for name in ("sede", "nms_io", "train_imags", "gone"))


def refused(desk: Path, words: Sequence[str]) -> str:
    """Run a command that must be refused in one line, without torch and without writing; return the line."""
    before = sorted(desk.rglob("*"))
    status, torch, _, errors = run_command_line(*words, folder=desk)
    assert (status, errors.count("\n"), errors.startswith("error: ")) == (2, 1, True), errors
    assert not torch
    assert sorted(desk.rglob("*")) == before
    return errors
