"""Val chooses the checkpoint, and test is scored once at the end."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from anchorloc import evaluate, train
from anchorloc.cli import run_command
from anchorloc.config import config_from_plain
from anchorloc.data import ShapesData
from anchorloc.data.coco_export import write_coco
from anchorloc.engine import run_report
from anchorloc.engine.preparation import open_data
from anchorloc.engine.system.display import RunConsole

TINY = [
    "transform.resize={kind: Letterbox, height: 64, width: 64}",
    "detector.backbone={channels: [8, 8, 16, 16], blocks: [1, 1, 1, 1]}",
    "detector.pyramid.channels=8",
    "detector.head={channels: 8, depth: 1}",
    *("train.length=2 iterations", "train.batch_size=2", "train.workers=0"),
]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with 4 train, 3 val and 2 test images."""
    monkeypatch.setattr(run_report, "RESAMPLES", 20)
    folder = tmp_path / "data"
    shapes = ShapesData(train_images=4, val_images=3, size=64)
    write_coco({split: shapes.open(split) for split in ("train", "val")}, folder)
    labels = json.loads((folder / "annotations" / "instances_val.json").read_text())
    kept = labels["images"][:2]
    boxes = [one for one in labels["annotations"] if one["image_id"] in {image["id"] for image in kept}]
    (folder / "annotations" / "instances_test.json").write_text(
        json.dumps({**labels, "images": kept, "annotations": boxes})
    )
    return folder


def test_a_test_split_is_the_number_on_top(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    assert train.main([f"data={data}", *TINY, "--out", str(out)]) == 0
    assert "test: 2 images" in capsys.readouterr().out
    report = json.loads((out / "metrics.json").read_text())
    assert report["counts"]["images"] == 2
    assert report["facts"]["scored on"] == "test, once"
    assert report["facts"]["AP on val, which chose the checkpoint"].endswith("at step 2")
    assert (out / "report.md").read_text().startswith("# run: test\n")
    for split, images in (("test", 2), ("train", 4)):
        words = [str(out / "best.pt"), "--split", split, "--resamples", "0", "--out", str(tmp_path / split)]
        assert evaluate.main(words) == 0
        found = json.loads((tmp_path / split / "metrics.json").read_text())
        assert (found["counts"]["images"], found["facts"]["scored on"]) == (images, split)


def test_without_test_the_report_says_that_val_chose(data: Path, tmp_path: Path) -> None:
    (data / "annotations" / "instances_test.json").unlink()
    out = tmp_path / "run"
    assert train.main([f"data={data}", *TINY, "--out", str(out)]) == 0
    facts = json.loads((out / "metrics.json").read_text())["facts"]
    assert facts["scored on"] == "val, which chose step 2 as the best: the numbers are somewhat too good"
    words = [*TINY, "train.validate_every=1", "--out", str(tmp_path / "once")]
    assert train.main([f"data={data}", *words]) == 0
    assert json.loads((tmp_path / "once" / "metrics.json").read_text())["facts"]["scored on"] == "val, once"
    assert run_command(evaluate.main, [str(out / "best.pt"), "--split", "test"]) == 2
    for name, said in (("best", "val, which chose the checkpoint: the numbers are somewhat too good"), ("last", "val")):
        words = [str(out / f"{name}.pt"), "--resamples", "0", "--out", str(tmp_path / name)]
        assert evaluate.main(words) == 0
        assert json.loads((tmp_path / name / "metrics.json").read_text())["facts"]["scored on"] == said


def test_a_split_that_is_not_there_is_one_sentence(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--detections", str(data), "--annotations", str(data), "--split", "test"]
    assert run_command(evaluate.main, words) == 2
    assert "--split needs a checkpoint" in capsys.readouterr().err


def test_a_note_on_the_labels_is_one_warning(data: Path) -> None:
    (data / "annotations" / "instances_val.json").unlink()
    (data / "annotations" / "instances_test.json").unlink()
    console = RunConsole(file=io.StringIO(), width=400)
    config = config_from_plain({"data": {"kind": "LabelData", "path": str(data), "val_fraction": 0.5}}, "a test")
    part, val, _ = open_data(config, console)
    assert (len(part), len(val)) == (2, 2)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().count("are set aside") == 1
