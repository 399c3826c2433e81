"""What is refused or said before a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from anchorloc.config import Config
from anchorloc.data import LabelData, ShapesData
from anchorloc.data.coco_export import write_coco
from anchorloc.engine.preparation import check_boxes, open_data
from anchorloc.engine.system.display import RunConsole
from anchorloc.errors import InputError
from anchorloc.files import read_json, write_json

QUIET = RunConsole(quiet=True)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    shapes = ShapesData(train_images=8, val_images=8, size=96)
    write_coco({split: shapes.open(split) for split in ("train", "val")}, tmp_path)
    return Config(data=LabelData(tmp_path))


def write_corners(file: Path) -> None:
    document = read_json(file)
    for item in document["annotations"]:
        x, y, width, height = item["bbox"]
        item["bbox"] = [x, y, x + width, y + height]
    write_json(file, document)


def test_sound_boxes_are_not_suspected(config: Config) -> None:
    assert check_boxes(config, open_data(config, QUIET), QUIET) == ()


@pytest.mark.parametrize("split", ["train", "val"])
def test_corners_are_refused_unless_forced(config: Config, tmp_path: Path, split: str) -> None:
    write_corners(tmp_path / "annotations" / f"instances_{split}.json")
    sources = open_data(config, QUIET)
    with pytest.raises(InputError, match=rf"instances_{split}\.json.*x1, y1, x2, y2.*--fix-xyxy.*--force"):
        check_boxes(config, sources, QUIET)
    (warning,) = check_boxes(config, sources, QUIET, force=True)
    assert "--force" not in warning
