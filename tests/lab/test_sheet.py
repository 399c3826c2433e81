"""The picture sheet, and the lab on every augmentation."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anchorloc.cli import run_command
from anchorloc.config import read_config
from anchorloc.data import Samples
from anchorloc.detector import TaskAlignedAssigner
from anchorloc.lab import __main__ as lab
from anchorloc.lab.network_views import training_pictures
from anchorloc.lab.report.sheet import CELL, CROWD, GAP, HEAD, UNASSIGNED, draw_sheet
from anchorloc.report.drawing import palette_color
from tests.data.data_sets import write_data_set

SHAPES = "data={train_images: 9, val_images: 3, size: 64}"
ALL = (
    "transform.augment={iou_crop: {}, zoom_out: {}, mosaic: {}, multi_scale: [0.5, 1.0], scale_jitter: [0.5, 2.0], "
    "photometric: 0.3, min_visible: 0.4}"
)


def run(*words: object) -> int:
    return run_command(lab.main, [str(word) for word in words])


def rgb(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def test_a_sheet_of_an_augmented_epoch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "sheet.png"
    assert run("sheet", SHAPES, ALL, "--images", 5, "--epoch", 2, "--out", out) == 0
    said = capsys.readouterr().out
    assert "5 pictures" in said
    with Image.open(out) as sheet:
        assert sheet.format == "PNG"
        assert sheet.width == 4 * (CELL + GAP) + GAP
    assert run("sheet", SHAPES, "--out", out) == 2
    assert "exists already" in capsys.readouterr().err
    assert run("sheet", SHAPES, "task=localization") == 2
    assert "usable box per image, but train image" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        run("sheet", SHAPES, "--epoch=-1")
    assert "need a whole number from 0, got '-1'" in capsys.readouterr().err
    again = tmp_path / "again.png"
    assert run("sheet", SHAPES, ALL, "--images", 5, "--epoch", 2, "--out", again) == 0
    assert again.read_bytes() == out.read_bytes()
    assert run("sheet", SHAPES, ALL, "--images", 5, "--epoch", 3, "--out", tmp_path / "other.png") == 0
    assert (tmp_path / "other.png").read_bytes() != out.read_bytes()


def test_pictures_are_samples_of_training() -> None:
    config = read_config(None, [SHAPES, ALL])
    source = config.data.open("train")
    samples = Samples(source, config.transform, config.train.seed)
    drawn = list(training_pictures(config, source, 3, epoch=1))
    for picture, index in zip(drawn, (0, 3, 6), strict=True):
        np.testing.assert_array_equal(picture.sample.image, samples[1, index].image)
        assert picture.assignment.count == len(picture.grid)
    assert len(list(training_pictures(config, source, 100))) == 9


def test_pictures_show_task_alignment_where_a_config_uses_it() -> None:
    config = read_config(None, [SHAPES, "assign={kind: TaskAlignedAssigner, topk: 2}"])
    for picture in training_pictures(config, config.data.open("train"), 3):
        target = picture.sample.target
        shown = TaskAlignedAssigner(2).untrained(picture.grid, target.boxes, target.crowd)
        assert picture.assignment.matched.tolist() == shown.matched.tolist()
        assert np.bincount(picture.assignment.rows).max() == 2


def test_boxes_and_their_anchors_have_one_color(tmp_path: Path) -> None:
    """Every color of the drawing is found where it should be, the box of the crowd and the lost one among them."""
    root = write_data_set(tmp_path)
    config = read_config(
        None,
        [
            f"data={{kind: CocoData, root: '{root}'}}",
            "assign={kind: MaxIoUAssigner}",
            "transform.augment.horizontal_flip=0",
        ],
    )
    source = config.data.open("train")
    (picture,) = training_pictures(config, source, 1)
    assert picture.sample.target.crowd.tolist() == [False, True, False]
    sheet = np.array(Image.open(io.BytesIO(draw_sheet([picture], source.categories))))
    factor = CELL / 40
    for row, box in enumerate(picture.sample.target.boxes):
        color = CROWD if row == 1 else UNASSIGNED if row in picture.assignment.unassigned else palette_color(row)
        y, x = HEAD + GAP + int(box[3] * factor) - 2, GAP + int((box[0] + box[2]) / 2 * factor)
        assert tuple(sheet[y, x]) == rgb(color)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "sheet.jpg"], "must end in .png"),
        (["--out", "x.png", "data={kind: CocoData, root: nowhere}"], "nowhere"),
    ],
)
def test_mistakes_are_one_sentence(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("sheet", *words) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_report_with_every_augmentation_and_tiles(tmp_path: Path) -> None:
    root = write_data_set(tmp_path / "set")
    data = f"data={{kind: CocoData, root: '{root}', tiles: {{height: 20, width: 24}}}}"
    out = tmp_path / "out"
    assert run("report", data, ALL, "--passes", 3, "--out", out) == 0
    train = json.loads((out / "report.json").read_text(encoding="utf-8"))["splits"]["train"]
    tiles = len(read_config(None, [data]).data.open("train"))
    assert tiles > 2
    assert (train["images"], train["passes"]) == (3 * tiles, 3)
    assert train["boxes_removed_by_augmentation"] >= 0


def test_every_augmentation_can_be_listed(capsys: pytest.CaptureFixture[str]) -> None:
    from anchorloc import train

    assert train.main(["--list"]) == 0
    listed = capsys.readouterr().out
    for key in (
        "iou_crop = null",
        "iou_crop.min_scale = 0.3",
        "zoom_out.max_scale",
        "mosaic.zoom",
        "min_visible = 0.25",
    ):
        assert f"transform.augment.{key}" in listed
    assert "data[CocoData].root = (required)" in listed
    assert "data[CocoData].tiles.overlap = 0.25" in listed
    assert "train.sampling[RepeatFactorSampling].threshold = 0.1" in listed
