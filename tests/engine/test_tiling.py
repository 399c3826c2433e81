"""Detection on tiles: one answer from every command, an object on a seam, a tile that cannot be read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import anchorloc
from anchorloc.data import ShapesData
from anchorloc.data.tiles import TiledSource, Tiles
from anchorloc.engine.evaluation import detect, judge_checkpoint
from anchorloc.engine.preparation import in_tiles
from anchorloc.engine.system.log import read_log
from anchorloc.engine.tiling import whole_images
from anchorloc.engine.trained_model import TrainedModel
from anchorloc.structures import Detections
from tests.data.data_sets import write_data_set
from tests.detector.random_models import save_random
from tests.engine.small_runs import run, small
from tests.lab.lab_cases import source_of

ANIMALS = ((3, "cat"), (7, "dog"))
TILES = "{height: 20, width: 24, overlap: 0.3}"


def data_words(root: Path) -> list[str]:
    return [f"data={{kind: CocoData, root: '{root}', tiles: {TILES}}}", "transform.resize={kind: Keep}"]


def test_evaluation_and_prediction_agree_on_tiles(tmp_path: Path) -> None:
    root = write_data_set(tmp_path / "data")
    save_random(tmp_path / "best.pt", *data_words(root), "decode.score_threshold=0.0", classes=ANIMALS)
    model = anchorloc.load(tmp_path / "best.pt", device="cpu")
    assert isinstance(model.model, TrainedModel)
    source = model.model.config.data.open("val")
    found, _ = detect(model.model, source)
    assert [one.image_id for one in found] == [1, 2]
    for index, one in enumerate(found):
        alone = model(root / "images" / source.name(index), score=0)
        np.testing.assert_allclose(one.scores, alone.scores, atol=1e-4)
        np.testing.assert_allclose(one.boxes, alone.boxes, atol=1e-2)
        assert len(one) > 5
        assert (one.anchors == -1).all()
    whole = anchorloc.load(tmp_path / "best.pt", "data.tiles=null", device="cpu")
    assert not np.array_equal(
        whole(root / "images" / "a.png", score=0).boxes, model(root / "images" / "a.png", 0).boxes
    )


def test_a_run_on_tiles_is_validated_and_judged_on_whole_images(tmp_path: Path) -> None:
    root = write_data_set(tmp_path / "data")
    config = small(*data_words(root), "train.length=2 iterations", "decode.score_threshold=0.0", "train.ema=0")
    run(config, tmp_path / "run")
    logged = [row for row in read_log(tmp_path / "run") if "val/AP" in row][-1]
    judgment = judge_checkpoint(tmp_path / "run" / "last.pt")
    assert judgment.evaluation.summary.ap == pytest.approx(logged["val/AP"], abs=1e-6)
    assert judgment.evaluation.summary.ap50 == pytest.approx(logged["val/AP50"], abs=1e-6)


def test_an_image_with_a_tile_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    root = write_data_set(tmp_path / "data")
    save_random(tmp_path / "best.pt", *data_words(root), classes=ANIMALS)
    Image.new("L", (3, 3)).save(root / "images" / "a.png")
    judgment = judge_checkpoint(tmp_path / "best.pt")
    assert len(judgment.unreadable) == 1
    assert "a.png" in judgment.unreadable[0]


def test_an_object_over_four_tiles_is_one_detection() -> None:
    source = source_of([[[40, 40, 60, 60]]])  # 100 x 120 px
    tiled = Tiles(60, 60, 0.4).cover(source)
    seen = {}
    for index, tile in enumerate(tiled.parts):
        corner = np.array([tile.left, tile.top, tile.left, tile.top], np.float64)
        part = np.clip(np.array([40.0, 40, 60, 60]) - corner, 0, [60, 60, 60, 60])
        rows = np.flatnonzero([(part[2:] > part[:2]).all()])
        boxes = part[None][rows]
        count = len(rows)
        zeros = np.zeros(count, np.int64)
        seen[index] = Detections(boxes, np.full(count, 0.5 + index / 100), zeros, zeros, tiled.image_id(index))
    assert sum(map(len, seen.values())) >= 4
    merged = whole_images(small(), tiled, seen)
    assert list(merged) == [0]
    np.testing.assert_allclose(merged[0].boxes, [[40, 40, 60, 60]])
    assert merged[0].image_id == source.image_id(0)


def test_the_tiles_of_an_image_are_cut_from_one_reading() -> None:
    source = ShapesData(train_images=2, size=96).open("train")
    tiled = Tiles(64, 64).cover(source)
    assert tiled.images.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    np.testing.assert_array_equal(tiled.image(3), source.image(0)[32:, 32:])
    assert list(tiled.last) == [0]
    tiled.image(4)
    assert list(tiled.last) == [1]


def test_a_plan_with_tiles_trains_on_them(tmp_path: Path) -> None:
    root = write_data_set(tmp_path / "data")
    whole = small(*data_words(root), "data.tiles=null")
    tiled = small(*data_words(root))
    train = whole.data.open("train")
    assert in_tiles(whole, train) is train
    assert len(in_tiles(tiled, train)) == len(tiled.data.open("train")) > len(train)
    again = in_tiles(tiled, tiled.data.open("train"))
    assert isinstance(again, TiledSource)
    assert not isinstance(again.whole, TiledSource)
