"""A model on images: the Python API, tiles and their merging, and the settings of suppression."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

import anchorloc
from anchorloc.boxes import box_iou, soft_nms
from anchorloc.checkpoint import load_checkpoint, save_checkpoint
from anchorloc.data import ShapesData
from anchorloc.data.tiles import Tile
from anchorloc.detector import Decoder
from anchorloc.engine.build import batches, validation_batches, validation_loader
from anchorloc.engine.inference import detect_batch
from anchorloc.engine.trained_model import TrainedModel
from anchorloc.errors import InputError
from anchorloc.predict.localizer import Localizer
from anchorloc.predict.named_detections import NamedDetections
from anchorloc.predict.square_tiles import SquareTiles
from anchorloc.structures import Detections, Pixels
from benchmarks.torchvision_parity import CONFIGS, peer
from tests.detector.random_models import save_random
from tests.metrics.evaluation_cases import found
from tests.python_processes import run_python

SCENES = ShapesData(train_images=1, val_images=4, size=96).open("val")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_random(tmp_path_factory.mktemp("model") / "best.pt")


@pytest.fixture(scope="module")
def model(checkpoint: Path) -> Localizer:
    return anchorloc.load(checkpoint, device="cpu")


def assert_same(first: Detections, second: Detections, tolerance: float = 0) -> None:
    np.testing.assert_array_equal(first.labels, second.labels)
    np.testing.assert_allclose(first.scores, second.scores, rtol=0, atol=tolerance)
    np.testing.assert_allclose(first.boxes, second.boxes, rtol=0, atol=100 * tolerance)


def test_an_image_may_be_a_path_bytes_a_picture_or_an_array(model: Localizer, tmp_path: Path) -> None:
    pixels = SCENES.image(0)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    from_array = model(pixels)
    assert len(from_array) > 20
    assert from_array.boxes.shape == (len(from_array), 4)
    assert (np.diff(from_array.scores) <= 0).all()
    assert from_array.names == [model.names[label] for label in from_array.labels]
    assert from_array.take(np.array([1])).names == from_array.names[1:2]
    assert_same(from_array, model(str(tmp_path / "a.png")))
    assert_same(from_array, model(tmp_path / "a.png"))
    assert_same(from_array, model((tmp_path / "a.png").read_bytes()))
    assert from_array.size == from_array.where(score=1).size == (96, 96)
    with Image.open(tmp_path / "a.png") as picture:
        assert_same(from_array, model(picture))


def test_it_finds_what_evaluation_finds(model: Localizer) -> None:
    assert isinstance(model.model, TrainedModel)
    config = replace(model.model.config, train=replace(model.model.config.train, batch_size=1))
    loader = batches(validation_loader(config, SCENES, validation_batches(config, SCENES)))
    judged = [detect_batch(model.model.network, batch, config, torch.device("cpu")) for batch in loader]
    for index, [expected] in enumerate(judged):
        assert_same(model(SCENES.image(index)), expected)


def test_an_image_of_a_list_gets_what_it_gets_alone(model: Localizer) -> None:
    images = [SCENES.image(0), SCENES.image(1)[:50], SCENES.image(2), SCENES.image(3)[:, :40]]
    together = replace(model, batch_size=3)(images)
    assert len(together) == 4
    for image, detections in zip(images, together, strict=True):
        assert_same(detections, model(image), 1e-5)
    assert model([]) == []
    assert model(()) == []


def test_a_generator_is_read_batch_by_batch(model: Localizer) -> None:
    taken: list[int] = []

    def frames() -> Iterator[np.ndarray]:
        for index in range(4):
            taken.append(index)
            yield SCENES.image(index)

    found = replace(model, batch_size=np.int64(3))(frames())  # type: ignore[arg-type]
    assert taken == []
    assert_same(next(found), model(SCENES.image(0)), 1e-5)
    assert taken == [0, 1, 2]
    rest = list(found)
    assert taken == [0, 1, 2, 3]
    assert_same(rest[-1], model(SCENES.image(3)), 1e-5)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_lie_in_the_turned_image(model: Localizer, tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = SCENES.image(0)[:64]
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # orientation to the Pillow transpose that stores it so
    stored = Image.fromarray(upright)
    stored = stored if orientation == 1 else stored.transpose(Image.Transpose(undo[orientation]))
    stored.save(tmp_path / "a.png", exif=exif)
    assert_same(model(tmp_path / "a.png"), model(upright))
    with Image.open(tmp_path / "a.png") as picture:
        assert_same(model(picture), model(upright))


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros((4, 4, 3), np.float32), r"need a uint8 array of shape \(H, W, 3\), got float32 \(4, 4, 3\)"),
        (np.zeros((4, 4), np.uint8), r"got uint8 \(4, 4\)"),
        (np.zeros((0, 4, 3), np.uint8), r"got uint8 \(0, 4, 3\)"),
        (np.zeros((2, 4, 4, 3), np.uint8), r"got uint8 \(2, 4, 4, 3\); give a batch as list\(images\)"),
        (["x.png"], "x.png does not exist"),
        (Path(__file__).parent, "predict is a folder; give the image files in it"),
        ("nul\0byte.png", "does not exist"),
        ([np.zeros((4, 4, 3), np.uint8), 7], "image 1: need a path, bytes, a PIL image or an array, got int"),
        (7, "need a path, bytes, a PIL image or an array, got int"),
        (b"<html>", "the image is not an image of a known format"),
        ([b""], "image 0: is not an image of a known format"),
        (torch.zeros(4, 4, 3), "need a path, bytes, a PIL image or an array, got Tensor"),
        (io.BytesIO(b"image"), "need a path, bytes, a PIL image or an array, got BytesIO"),
        ({"image": 1}, "need a path, bytes, a PIL image or an array, got dict"),
        (None, "need a path, bytes, a PIL image or an array, got NoneType"),
        (Image.new("F", (4, 4)), "the image has floating-point pixels"),
    ],
)
def test_an_unusable_image_is_an_error(model: Localizer, image: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        model(image)


def test_an_unusable_number_is_an_error(model: Localizer, checkpoint: Path) -> None:
    zero: Any = np.float32(0)
    scores: list[Any] = [float("nan"), "0.3", np.array([0.1, 0.2])]
    for score in scores:
        with pytest.raises(InputError, match=r"^score must be a number from 0 to 1, got "):
            model(SCENES.image(0), score=score)
    assert len(model(SCENES.image(0), score=zero)) == len(model(SCENES.image(0), score=0))
    side: Any = 64
    with pytest.raises(InputError, match=r"^tiles must be anchorloc.SquareTiles\(size=..., overlap=...\), got 64$"):
        anchorloc.load(checkpoint, tiles=side)
    with pytest.raises(InputError, match=r"^tiles need whole numbers, got a size of 64\.5 and an overlap of 3$"):
        SquareTiles(side + 0.5, 3)
    sizes: list[Any] = [0, 2.5, "2"]
    for size in sizes:
        with pytest.raises(InputError, match=r"^batch_size must be a whole number of at least 1, got "):
            anchorloc.load(checkpoint, batch_size=size)


def test_settings_and_classes_of_a_checkpoint(checkpoint: Path) -> None:
    strict = anchorloc.load(checkpoint, "decode.score_threshold=0.3", "decode.max_detections=5")
    detections = strict(SCENES.image(0))
    assert 0 < len(detections) <= 5
    assert detections.scores.min() > 0.3
    assert strict.names == ("ellipse", "rectangle", "triangle", "cross")
    for settings, words in (
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1"),
        ({"tiles": 64}, r"tiles must be anchorloc.SquareTiles\(size=..., overlap=...\), got 64"),
        ({"device": "tpu"}, "device must be auto, .* got 'tpu'"),
    ):
        with pytest.raises(InputError, match=words):
            anchorloc.load(checkpoint, **settings)


def test_objects_are_those_of_the_stored_threshold(checkpoint: Path, tmp_path: Path) -> None:
    threshold = {"score": 0.625, "precision": 0.5, "recall": 0.25, "f1": 1 / 3, "found": "best F1 on val"}
    state = load_checkpoint(checkpoint)
    save_checkpoint(tmp_path / "best.pt", {**state, "threshold": threshold})
    image = SCENES.image(0)
    everything = anchorloc.load(checkpoint)(image)
    model = anchorloc.load(tmp_path / "best.pt")
    assert str(model.threshold) == "0.62 (best F1 on val: precision 0.50, recall 0.25)"
    classes = "4 classes: ellipse, rectangle, triangle, cross"
    assert str(model) == repr(model) == f"Localizer of {classes}; shows objects of score >= 0.62"
    with pytest.raises(InputError, match="score must be a number from 0 to 1, got 62"):
        model(image, score=62)
    assert 0 < len(model(image)) < len(everything)
    assert_same(model(image), everything.where(score=0.625))
    assert_same(model([image])[0], everything.where(score=0.625))
    assert_same(next(model(iter([image]), score=0.7)), everything.where(score=0.7))
    assert_same(model(image, score=0), everything)
    assert_same(anchorloc.load(tmp_path / "best.pt", "decode.score_threshold=0.02")(image), everything)
    save_checkpoint(tmp_path / "wrong.pt", {**state, "threshold": {**threshold, "score": 1.5}})
    with pytest.raises(InputError, match=r"wrong.pt cannot be used: entry 'threshold.*score'"):
        anchorloc.load(tmp_path / "wrong.pt")


def test_a_torchvision_model_knows_its_classes_without_data(tmp_path: Path) -> None:
    name = "ssdlite320_mobilenet_v3_large"
    torch.save(peer(name).state_dict(), tmp_path / "lite.pth")
    model = anchorloc.load(CONFIGS / f"{name}.yaml", f"detector.weights={tmp_path / 'lite.pth'}")
    assert len(model.names) == 80
    assert [category.id for category in model.model.categories if category.name == "toothbrush"] == [90]
    assert isinstance(model(SCENES.image(0)), NamedDetections)


HEAVY = {"rich", "jinja2", "pycocotools", "tensorboard", "anchorloc.doctor", "anchorloc.report", "anchorloc.engine.run"}


def test_import_is_light_and_prediction_loads_neither_reports_nor_training(checkpoint: Path, tmp_path: Path) -> None:
    """From the import to the detections of an image; an import of rich at the end proves that the check can fail."""
    Image.fromarray(SCENES.image(0)).save(tmp_path / "a.png")
    code = (
        "import sys, anchorloc\n"
        "print({'torch', 'numpy'} & set(sys.modules))\n"
        "found = anchorloc.load(sys.argv[1])(sys.argv[2])\n"
        f"print(len(found) > 0, {HEAVY!r} & set(sys.modules))\n"
        f"import rich; print({HEAVY!r} & set(sys.modules))"
    )
    done = run_python(code, str(checkpoint), str(tmp_path / "a.png"))
    assert done.stdout == "set()\nTrue set()\n{'rich'}\n", done.stderr
    assert anchorloc.load.__module__ == "anchorloc.predict.localizer"
    with pytest.raises(AttributeError, match="nothing"):
        anchorloc.nothing  # noqa: B018


tilings = st.integers(16, 60).flatmap(lambda size: st.builds(SquareTiles, st.just(size), st.integers(0, size // 2)))
sizes = st.tuples(st.integers(1, 100), st.integers(1, 100))


@given(sizes, tilings)
def test_tiles_cover_every_pixel_and_overlap(size: tuple[int, int], tiles: SquareTiles) -> None:
    image = np.arange(size[0] * size[1] * 3).reshape(*size, 3)
    seen = np.zeros(size, np.bool_)
    grid = tiles.grid(size)
    for tile in grid:
        assert tile.size == (min(size[0], tiles.size), min(size[1], tiles.size))
        part = tile.cut(image)  # type: ignore[arg-type]
        assert part.shape[:2] == tile.size
        assert part[0, 0, 0] == (tile.top * size[1] + tile.left) * 3
        seen[tile.top : tile.top + tile.size[0], tile.left : tile.left + tile.size[1]] = True
    assert seen.all()
    for starts in (sorted({tile.top for tile in grid}), sorted({tile.left for tile in grid})):
        assert all(np.diff(starts) <= tiles.size - tiles.overlap)


@given(sizes, tilings, st.tuples(*[st.floats(0, 1)] * 4))
@example((1, 58), SquareTiles(24, 7), (17.2 / 58, 23.6 / 58, 0.0, 1.0))  # fills the overlap, near both edges
def test_every_object_is_kept_by_a_tile_that_sees_as_much_of_it_as_any(
    size: tuple[int, int], tiles: SquareTiles, place: tuple[float, ...]
) -> None:
    """What an ideal network finds in each tile: the part of the object in it. Small ones are found whole."""
    x1, x2 = sorted(place[:2])
    y1, y2 = sorted(place[2:])
    box = np.array([x1, y1, x2, y2]) * (size[1], size[0], size[1], size[0])
    visible, kept = [0.0], [0.0]
    for tile in tiles.grid(size):
        corner = np.array([tile.left, tile.top, tile.left, tile.top])
        part = (box - corner).clip(0, (tile.size[1], tile.size[0]) * 2)
        area = float((part[2] - part[0]) * (part[3] - part[1]))
        detections = tile.to_image(found("", [part.tolist()], [0.5]))
        if len(detections):
            np.testing.assert_allclose(detections.boxes[0], part + corner)
            kept.append(area)
        visible.append(area)
    assert max(kept) >= max(visible) * (1 - 1e-9)
    if (box[2:] - box[:2]).max() <= tiles.overlap * (1 - 1e-9):
        assert max(kept) == pytest.approx((box[2] - box[0]) * (box[3] - box[1]))


def found_in_tiles(image: Pixels, tiles: SquareTiles) -> Detections:
    """Return what an ideal network finds in an image of one white object, after the NMS over all tiles."""
    parts = []
    for tile in tiles.grid((image.shape[0], image.shape[1])):
        rows, columns = (np.flatnonzero(tile.cut(image)[..., 0].any(axis=axis)) for axis in (1, 0))
        box = [[columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]] if len(rows) else []
        parts.append(tile.to_image(found("", box, [0.5] * len(box))))
    boxes = np.concatenate([part.boxes for part in parts])
    return Decoder().select_best(found("", boxes.tolist(), [0.5] * len(boxes)))


def test_an_object_over_four_tiles_is_found_once_if_it_is_not_larger_than_the_overlap() -> None:
    """docs/predict.md: a larger one may be found in several pieces. Four tiles of 64 px meet at (56, 56)."""
    tiles, image = SquareTiles(64, 16), np.zeros((112, 112, 3), np.uint8)
    assert [(tile.top, tile.left) for tile in tiles.grid((112, 112))] == [(0, 0), (0, 48), (48, 0), (48, 48)]
    image[48:64, 48:64] = 255
    assert found_in_tiles(image, tiles).boxes.tolist() == [[48, 48, 64, 64]]
    image[36:76, 36:76] = 255
    pieces = [[36, 36, 64, 64], [36, 48, 64, 76], [48, 36, 76, 64], [48, 48, 76, 76]]
    assert sorted(found_in_tiles(image, tiles).boxes.tolist()) == pieces


def naive_nms(detections: Detections, iou: float) -> list[int]:
    overlaps = box_iou(detections.boxes, detections.boxes)
    same = detections.labels[:, None] == detections.labels
    kept: list[int] = []
    for row in sorted(range(len(detections)), key=lambda row: -detections.scores[row]):
        if not (same[row, kept] & (overlaps[row, kept] > iou)).any():
            kept.append(row)
    return kept


def test_merged_tiles_are_what_suppression_per_class_leaves_of_all(checkpoint: Path) -> None:
    settings = ("decode.score_threshold=0.2", "decode.topk_candidates=20", "decode.max_detections=1000")
    tiles = SquareTiles(48, 16)
    model = anchorloc.load(checkpoint, *settings, tiles=tiles, batch_size=1)
    everything = replace(anchorloc.load(checkpoint, *settings, "decode.nms_iou=1"), batch_size=1)  # suppresses nothing
    image = np.concatenate([SCENES.image(0), SCENES.image(1)], axis=1)
    grid = tiles.grid((96, 192))
    assert len(grid) == 3 * 6
    parts = [tile.to_image(everything(tile.cut(image).copy())) for tile in grid]
    boxes, scores, labels, anchors = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("boxes", "scores", "labels", "anchors")
    )
    joined = Detections(boxes, scores, labels, anchors, image_id="")
    expected = joined.take(np.array(naive_nms(joined, 0.6)))
    assert 20 < len(expected) < len(joined)
    assert_same(model(image), expected, 1e-6)
    assert (model(image).anchors == -1).all()


def test_a_box_moves_with_its_tile() -> None:
    moved = Tile(10, 20, (50, 60), (50 + 10, 60 + 20)).to_image(found(3, [[1, 2, 3, 4]], [0.5]))
    np.testing.assert_array_equal(moved.boxes, [[21, 12, 23, 14]])
    assert moved.image_id == 3


@pytest.mark.parametrize(("size", "overlap"), [(0, 0), (10, 10), (10, -1)])
def test_tiles_that_cannot_be(size: int, overlap: int) -> None:
    with pytest.raises(InputError, match="tiles need 0 <= overlap < size"):
        SquareTiles(size, overlap)


def test_tiles_that_show_no_object() -> None:
    with pytest.raises(InputError, match="at least 16 px, got 15"):
        SquareTiles(15, 0)


corners = st.tuples(st.integers(0, 8), st.integers(0, 8), st.integers(1, 8), st.integers(1, 8))
rows = st.lists(st.tuples(corners, st.integers(1, 20), st.integers(0, 2)), max_size=12)


def as_detections(items: list[tuple[tuple[int, ...], int, int]]) -> Detections:
    boxes = [[float(side) for side in (x, y, x + w, y + h)] for (x, y, w, h), _, _ in items]
    return found("", boxes, [score / 20 for _, score, _ in items], [label for _, _, label in items])


@given(rows)
def test_suppression_across_classes_is_that_of_one_class(items: list[tuple[tuple[int, ...], int, int]]) -> None:
    detections = as_detections(items)
    best = Decoder(class_agnostic_nms=True, nms_iou=0.4).select_best(detections)
    of_one = naive_nms(replace(detections, labels=np.zeros_like(detections.labels)), 0.4)
    assert_same(best, detections.take(np.array(of_one, np.int64)))


@given(rows, st.booleans(), st.sampled_from([1, 3, 100]))
def test_soft_suppression(items: list[tuple[tuple[int, ...], int, int]], across: bool, most: int) -> None:
    """Class by class as `soft_nms`, whose twin is in its own tests; then by descending new score."""
    detections = as_detections(items)
    decoder = Decoder(0.02, class_agnostic_nms=across, soft_nms_sigma=0.3, max_detections=most)
    best = decoder.select_best(detections)
    groups = [np.arange(len(detections))] if across else [np.flatnonzero(detections.labels == c) for c in range(3)]
    expected = []
    for group in groups:
        kept, scores = soft_nms(detections.boxes[group], detections.scores[group], 0.3, 0.02)
        expected += [(-score, row) for row, score in zip(group[kept].tolist(), scores.tolist(), strict=True)]
    expected = sorted(expected)[:most]
    np.testing.assert_array_equal(best.scores, [-score for score, _ in expected])
    np.testing.assert_array_equal(best.boxes, detections.boxes[[row for _, row in expected]].reshape(-1, 4))


def test_a_negative_sigma_is_refused() -> None:
    with pytest.raises(ValueError, match="soft_nms_sigma must not be negative, got -1"):
        Decoder(soft_nms_sigma=-1)
