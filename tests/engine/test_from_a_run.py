"""A run that starts from an earlier one, with other classes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import anchorloc
from anchorloc import evaluate, train
from anchorloc.checkpoint import load_checkpoint, save_checkpoint
from anchorloc.cli import run_command
from anchorloc.config import read_saved_config, to_plain
from anchorloc.data import ShapesData
from anchorloc.data.coco_export import write_coco
from anchorloc.engine import run_report
from anchorloc.engine.build import build_detector
from anchorloc.engine.state.run_folder import find_checkpoint
from anchorloc.export import __main__ as export
from anchorloc.predict import __main__ as predict
from tests.engine.small_runs import small


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a folder with 6 train and 3 val images of the built-in shapes."""
    shapes = ShapesData(train_images=6, val_images=3, size=96)
    write_coco({split: shapes.open(split) for split in ("train", "val")}, tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def earlier(data: Path, tmp_path: Path) -> Path:
    """Return the folder of a run that knows the first class of the data, and `gone`."""
    config = small(f"data={data}", "anchors.scales=[3]")
    (tmp_path / "old").mkdir()
    first = ShapesData().open("val").categories[0]
    torch.manual_seed(0)
    state = {
        "config": to_plain(config),
        "categories": [[7, "gone"], [8, first.name]],
        "step": 5,
        "model": build_detector(config, 2).state_dict(),
    }
    save_checkpoint(tmp_path / "old" / "best.pt", state)
    return tmp_path / "old"


def test_classes_are_taken_over_by_name_and_settings_are_kept(
    data: Path, earlier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run_report, "RESAMPLES", 0)
    out = tmp_path / "new"
    frozen = ["train.optimizer={kind: AdamW, learning_rate: 1e-12}", "train.workers=0", "train.batch_size=2"]
    words = [str(data), "--from", str(earlier), "train.length=1 iteration", *frozen, "--force", "--out", str(out)]
    assert run_command(train.main, words) == 0
    said = " ".join(capsys.readouterr().out.split())
    first, *others = (category.name for category in ShapesData().open("val").categories)
    weights = earlier / "best.pt"
    assert f"from {weights}: classes taken over (1): {first}" in said
    assert f"new classes, from random weights ({len(others)}): {', '.join(others)}" in said
    assert "classes that the data lack, which the new model does not find (1): gone" in said
    config, before = read_saved_config(out / "config.yaml"), small("anchors.scales=[3]")
    assert config.detector.weights == str(weights)
    assert config.detector.backbone == before.detector.backbone
    assert (config.anchors, config.transform.resize) == (before.anchors, before.transform.resize)
    assert "anchors" not in {one["key"] for one in json.loads((out / "plan.json").read_text())}
    old, new = (load_checkpoint(folder / "best.pt") for folder in (earlier, out))
    place = [name for _, name in new["categories"]].index(first)
    last = "head.logits.0.weight"
    torch.testing.assert_close(new["model"][last][place], old["model"][last][1], atol=1e-5, rtol=0)


def test_the_folder_of_a_run_is_taken_for_its_checkpoint(
    data: Path, earlier: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = next((data / "images").rglob("*.png"))
    (photo.parent / "0_broken.png").write_bytes(b"no image")
    assert len(anchorloc.load(earlier)(photo)) == len(anchorloc.load(earlier / "best.pt")(photo))
    commands = {
        "evaluate": (evaluate.main, ["--resamples", "0"]),  # refused: the data have other classes
        "predict": (predict.main, [str(photo)]),
        "export": (export.main, [str(tmp_path / "model.pt2"), "--images", str(photo.parent)]),
    }
    for name, (command, words) in commands.items():
        out = [] if name == "export" else ["--out", str(tmp_path / name)]
        assert run_command(command, [str(data), *words, *out]) == 2
        assert f"error: {data} has no best.pt or last.pt; give the folder of a run" in capsys.readouterr().err
        assert run_command(command, [str(earlier), *words, *out]) == (2 if name == "evaluate" else 0)
        printed = capsys.readouterr()
        assert f"checkpoint: {earlier / 'best.pt'}" in printed.out.splitlines()
        assert ("left out of the check" in printed.err and "0_broken.png" in printed.err) == (name == "export")
    (earlier / "best.pt").rename(earlier / "last.pt")
    assert find_checkpoint(earlier) == earlier / "last.pt"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--from", "empty"], "empty has no best.pt or last.pt; give the folder of a run, or a checkpoint"),
        (["--from", "text.pt"], "--from text.pt: it is no checkpoint of a run, or is damaged"),
        (["--from", "absent"], "absent"),
        (["--from", "empty", "--resume", "--out", "empty"], "--resume continues a run with its own weights"),
    ],
)
def test_a_start_that_cannot_be_used_is_one_sentence(
    words: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.pt").write_text("text")
    assert run_command(train.main, words) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert said in error
    assert error.count("\n") == 1
