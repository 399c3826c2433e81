"""IoU crop, zoom-out, mosaic, multi-scale and tiles: what is drawn, and what becomes of boxes that are cut."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorloc.boxes import box_ioa, box_iou
from anchorloc.data import (
    Augment,
    IoUCrop,
    Keep,
    Letterbox,
    Mosaic,
    ShapesData,
    ShortestSide,
    Transform,
    ZoomOut,
    plan_canvas,
)
from anchorloc.data.placement import ROUNDING, visible_share
from anchorloc.data.tiles import Tiles
from anchorloc.errors import InputError
from anchorloc.structures import Target
from tests.data.transform_cases import AUGMENTS, RESIZES, target
from tests.lab.lab_cases import BoxSource, source_of, sources

Resize = Keep | Letterbox | ShortestSide
MOSAICS = st.builds(
    lambda augment, mosaic: replace(augment, mosaic=mosaic),
    AUGMENTS,
    st.sampled_from([Mosaic(1.0), Mosaic(0.5, (0.3, 1.5), 0.0)]),
)


def full(boxes: list[list[float]]) -> Target:
    return source_of([boxes]).targets[0]


@given(st.integers(0, 2**32), st.integers(1, 200), st.integers(1, 200))
def test_the_visible_share_is_that_of_the_box_library(seed: int, width: int, height: int) -> None:
    corners = np.random.default_rng(seed).integers(0, 150, (5, 2, 2))
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1) + 1], axis=1).astype(np.float64)
    window = np.array([[10, 20, 10 + width, 20 + height]], np.float64)
    share, iou = visible_share(boxes, (10, 20, 10 + width, 20 + height))
    np.testing.assert_allclose(share, box_ioa(boxes, window)[:, 0])
    np.testing.assert_allclose(iou, box_iou(boxes, window)[:, 0])


@given(st.integers(0, 2**32), st.sampled_from([0.1, 0.5, 0.7]), st.floats(0, 1))
def test_a_crop_overlaps_some_box_by_what_was_drawn_and_shows_enough_of_it(
    seed: int, least: float, min_visible: float
) -> None:
    boxes = np.array([[10, 10, 90, 60], [100, 20, 160, 100.0]])
    crop = IoUCrop(1.0, (least,), 0.3, 2.0)
    drawn = crop.draw(boxes, (120, 180), min_visible, Random(seed))
    if drawn is None:
        return
    (top, left), (height, width) = drawn
    assert top >= 0
    assert left >= 0
    assert top + height <= 120
    assert left + width <= 180
    assert height >= 36
    assert width >= 54
    assert max(height, width) <= 2 * min(height, width)
    window = np.array([[left, top, left + width, top + height]], np.float64)
    shown, iou = box_ioa(boxes, window)[:, 0], box_iou(boxes, window)[:, 0]
    assert ((shown >= min_visible - 1e-9) & (iou >= least - 1e-9)).any()


def test_crops_happen_as_often_as_asked_and_never_without_boxes() -> None:
    boxes = np.array([[10, 10, 90, 60.0]])
    drawn = [IoUCrop(0.6, (0.0,)).draw(boxes, (100, 100), 0.25, Random(seed)) for seed in range(1000)]
    assert 0.55 < np.mean([window is not None for window in drawn]) < 0.65
    assert IoUCrop(1.0).draw(boxes[:0], (100, 100), 0.25, Random(0)) is None
    tiny = np.array([[0, 0, 2, 2.0]])
    assert IoUCrop(1.0, (0.9,)).draw(tiny, (100, 100), 0.25, Random(0)) is None


def test_a_crop_enlarges_what_it_shows_and_zoom_out_shrinks_it() -> None:
    boxes = target((30, 30, 70, 70))
    cropped = Transform(Letterbox(100, 100), Augment(0, iou_crop=IoUCrop(1.0, (0.3,), 0.5)))
    zoomed = Transform(Letterbox(100, 100), Augment(0, zoom_out=ZoomOut(1.0, 4.0)))
    sizes = {}
    for name, transform in (("cropped", cropped), ("zoomed", zoomed)):
        drawn = [transform.boxes((100, 100), boxes, Random(seed)) for seed in range(300)]
        assert all(placement.canvas == (100, 100) for _, placement in drawn)
        sizes[name] = [placement.scale[0] for _, placement in drawn]
        assert len({corner for _, placement in drawn for corner in (placement.offset, placement.crop_corner)}) > 50
    assert min(sizes["cropped"]) >= 0.98
    assert max(sizes["cropped"]) > 1.6
    assert max(sizes["zoomed"]) <= 1
    assert 0.24 < min(sizes["zoomed"]) < 0.3


def test_one_of_the_scales_is_taken() -> None:
    transform = Transform(Letterbox(100, 50), Augment(0, multi_scale=(0.5, 1.0, 2.0)))
    canvases = [transform.draw_placement((40, 20), Random(seed)).canvas for seed in range(300)]
    assert set(canvases) == {(50, 25), (100, 50), (200, 100)}
    assert min(canvases.count(canvas) for canvas in set(canvases)) > 70
    assert transform.boxes((40, 20), target((0, 0, 20, 40)), None)[1].canvas == (100, 50)


def shown(low: float, high: float, first: float, last: float) -> float:
    """Return how much of low..high lies in first..last; an end less than ROUNDING outside lies on the border."""
    low = low if low > first - ROUNDING else first
    high = high if high < last + ROUNDING else last
    return max(0.0, high - low)


@given(sources(), RESIZES, MOSAICS, st.integers(0, 2**32))
def test_boxes_of_a_picture_follow_the_visibility_rule(
    source: BoxSource, resize: Resize, augment: Augment, seed: int
) -> None:
    """The slow twin: each box of each part, one by one."""
    transform = Transform(resize, augment)
    drawn = plan_canvas(transform, source, 0, Random(seed))
    expected = []
    for place, placement in drawn.placements:
        whole = source.training_target(place)
        (top, left), (height, width) = placement.offset, placement.resized_size
        for row, box in zip(whole.rows, placement.map_boxes(whole.boxes), strict=True):
            x1, y1 = max(box[0], left), max(box[1], top)
            x2, y2 = min(box[2], left + width), min(box[3], top + height)
            across = shown(box[0], box[2], left, left + width)
            seen, area = across * shown(box[1], box[3], top, top + height), (box[2] - box[0]) * (box[3] - box[1])
            if seen > 0 and seen >= augment.min_visible * area and x2 > x1:
                expected.append((place, row, x1, y1, x2, y2))
    found = np.column_stack([drawn.images, drawn.target.rows, drawn.target.boxes])
    np.testing.assert_allclose(found.astype(np.float64), np.array(expected).reshape(-1, 6), atol=1e-9)
    assert drawn.annotated_boxes == sum(len(source.training_target(place)) for place, _ in drawn.placements)


@given(MOSAICS, RESIZES, st.integers(0, 2**32))
def test_the_quarters_of_a_mosaic_do_not_touch_and_hold_their_images(
    augment: Augment, resize: Resize, seed: int
) -> None:
    transform = Transform(resize, augment)
    source = source_of([[[0, 0, 120, 100]]] * 5)
    drawn = plan_canvas(transform, source, 3, Random(seed))
    assert drawn.placements[0][0] == 3
    if len(drawn.placements) == 1:
        return
    covered = np.zeros(drawn.canvas, np.int64)
    for _, placement in drawn.placements:
        assert placement.canvas == drawn.canvas
        (top, left), (height, width) = placement.offset, placement.resized_size
        assert height >= 1
        assert width >= 1
        assert top + height <= drawn.canvas[0]
        assert left + width <= drawn.canvas[1]
        covered[top : top + height, left : left + width] += 1
    assert covered.max() == 1


def test_a_mosaic_shows_the_pixels_of_its_images() -> None:
    transform = Transform(Keep(), Augment(0.5, mosaic=Mosaic(1.0, (1.0, 1.0), 0.25)))
    source = ShapesData(train_images=30, size=64).open("train")
    random = Random(5)
    drawn = plan_canvas(transform, source, 7, random)
    image = transform.render([(source.image(place), placement) for place, placement in drawn.placements], random)
    assert len({place for place, _ in drawn.placements}) == 4
    for place, placement in drawn.placements:  # a scale of 1: a window of the image, maybe mirrored
        (top, left), (height, width), (row, column) = placement.offset, placement.resized_size, placement.crop_corner
        window = source.image(place)[row : row + height, column : column + width]
        expected = window[:, ::-1] if placement.mirrored[1] else window
        np.testing.assert_array_equal(image[top : top + height, left : left + width], expected)


@given(st.tuples(st.integers(16, 90), st.integers(16, 90)), st.floats(0, 0.9), st.integers(1, 200), st.integers(1, 200))
def test_tiles_cover_the_image_and_overlap_as_asked(
    tile: tuple[int, int], overlap: float, height: int, width: int
) -> None:
    grid = Tiles(*tile, overlap).grid((height, width))
    covered = np.zeros((height, width), np.int64)
    for one in grid:
        assert one.size == (min(tile[0], height), min(tile[1], width))
        one.cut(covered)[:] += 1  # type: ignore[arg-type]
    assert covered.min() >= 1
    for side, starts in zip(tile, ({one.top for one in grid}, {one.left for one in grid}), strict=True):
        assert all(b - a <= max(1, side * (1 - overlap)) for a, b in pairwise(sorted(starts)))


def test_tiles_by_hand() -> None:
    source = source_of([[[0, 0, 30, 30], [55, 10, 75, 20], [90, 90, 110, 99.5]], []])  # 100 x 120 px
    tiled = Tiles(64, 64, 0.0, min_visible=0.5)(source)
    assert len(tiled) == 2 * 4
    assert [tiled.image_id(index) for index in range(4)] == ["1@0,0", "1@56,0", "1@0,36", "1@56,36"]
    np.testing.assert_array_equal(tiled.target(0).boxes, [[0, 0, 30, 30]])  # 9 of 20 columns of the second: too little
    np.testing.assert_array_equal(tiled.target(1).boxes, [[0, 10, 19, 20]])
    np.testing.assert_array_equal(tiled.target(3).boxes, [[34, 54, 54, 63.5]])
    assert [tiled.annotation_id(int(tiled.target(3).rows[0])), tiled.size(3)] == [102, (64, 64)]
    assert tiled.warnings == ()
    strict = Tiles(64, 64, 0.0, min_visible=1.0, background_fraction=0.0)(source)
    assert strict.warnings == (
        "1 box is not trained on, because no tile shows 100% of the area; raise the size or the overlap of the tiles",
    )
    assert [strict.image_id(index) for index in range(len(strict))] == ["1@0,0", "1@56,36"]
    one = [[0.0, 0.0, 30.0, 30.0]]
    assert (
        len(Tiles(64, 64, 0.0, background_fraction=0.5)(source_of([one] + [[]] * 5))) == 1 + 12
    )  # a fraction of 23 empty tiles, rounded up
    with pytest.raises(InputError, match="shows 100% of any box of 1 images"):
        Tiles(16, 16, 0.0, min_visible=1.0)(source_of([one]))


def test_rounding_does_not_cut_a_box_that_ends_at_the_border() -> None:
    """281 * (320 / 281) is above 320 in floating point: with min_visible 1 such boxes were dropped."""
    for side in range(200, 1001):
        box = target((10, 10, side, side))
        for canvas in (320, 512, 640, 800):
            transform = Transform(Letterbox(canvas, canvas), Augment(min_visible=1.0))
            mapped, _ = transform.boxes((side, side), box, None)
            assert len(mapped) == 1, (side, canvas)
            assert mapped.boxes.max() <= canvas


def test_rounding_does_not_cut_a_box_that_ends_at_the_edge_of_a_tile() -> None:
    beyond = np.nextafter(64.0, 65.0)
    tiled = Tiles(64, 64, 0.0, min_visible=1.0)(source_of([[[4, 4, beyond, beyond]], [[4, 4, 64.01, 64]]]))
    assert [len(tiled.training_target(index)) for index in range(len(tiled))] == [1] + [0] * 7
    np.testing.assert_array_equal(tiled.training_target(0).boxes, [[4, 4, 64, 64]])


def test_rounding_does_not_hide_a_box_from_an_iou_crop() -> None:
    whole = IoUCrop(1.0, (0.0,), min_scale=1.0)
    beyond = np.nextafter(100.0, 101.0)
    assert whole.draw(np.array([[10.0, 10.0, beyond, 50.0]]), (100, 100), 1.0, Random(0)) == ((0, 0), (100, 100))


def test_tiles_are_windows_of_the_pixels() -> None:
    source = ShapesData(train_images=2, size=64).open("train")
    tiled = Tiles(40, 40)(source)
    np.testing.assert_array_equal(tiled.image(3), source.image(0)[24:, 24:])
    image, boxes, _ = Transform(Letterbox(80, 80))(tiled.image(3), tiled.training_target(3))
    assert image.shape == (80, 80, 3)
    assert (boxes.boxes <= 80).all()


@pytest.mark.parametrize(
    "settings",
    [{"height": 8}, {"overlap": 1.0}, {"min_visible": -0.1}, {"background_fraction": 2.0}, {"overlap": float("nan")}],
)
def test_tiles_out_of_range_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(InputError, match="got"):
        Tiles(**settings)  # type: ignore[arg-type]
