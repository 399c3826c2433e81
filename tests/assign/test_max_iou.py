"""MaxIoUAssigner against its definition, against torchvision, and on cases computed by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray
from torchvision.models.detection._utils import Matcher
from torchvision.ops import box_iou

from anchorloc.anchors import AnchorGenerator
from anchorloc.assign import MaxIoUAssigner
from anchorloc.assign.grid_tables import shape_grids
from anchorloc.assign.max_iou_kernels import FUDGE, cells_around, window
from anchorloc.structures import BACKGROUND, IGNORE
from tests.assign.assign_twins import Scene, iou_matrix, max_iou_twin, random_boxes, scenes, thresholds

SQUARES = AnchorGenerator(strides=(10,), shapes=(((10, 10),),))  # a board of squares, edge to edge
PAIRS = AnchorGenerator(strides=(10,), shapes=(((10, 10), (10, 20)),))
SIZES = tuple((x, int(x * 2 ** (1 / 3)), int(x * 2 ** (2 / 3))) for x in (32, 64, 128, 256, 512))


@settings(max_examples=300)
@given(st.data(), scenes())
def test_labels_are_those_of_brute_force(data: st.DataObject, scene: Scene) -> None:
    positive, negative = data.draw(thresholds(scene))
    rescue = data.draw(st.sampled_from([None, 0.0, 0.1, *data.draw(thresholds(scene))]))
    assigner = MaxIoUAssigner(positive, negative, rescue)
    assignment = assigner(scene.grid, scene.boxes, scene.crowd)
    expected = max_iou_twin(assigner, scene.grid, scene.boxes, scene.crowd)
    np.testing.assert_array_equal(assignment.matched, expected)
    learned = np.isin(np.arange(len(scene.boxes)), expected)
    np.testing.assert_array_equal(assignment.unassigned, np.flatnonzero(~learned & ~scene.crowd))


@settings(max_examples=150)
@given(scenes())
def test_rescue_alone_finds_the_best_anchors(scene: Scene) -> None:
    """With a positive threshold that nothing reaches, every box with any overlap asks for its best anchor."""
    assigner = MaxIoUAssigner(1, 1, 0)
    expected = max_iou_twin(assigner, scene.grid, scene.boxes, scene.crowd)
    np.testing.assert_array_equal(assigner(scene.grid, scene.boxes, scene.crowd).matched, expected)


@settings(max_examples=150)
@given(scenes(), st.sampled_from([(0.5, 0.4), (0.7, 0.3), (0.4, 0.4)]))
def test_labels_are_those_of_torchvision(scene: Scene, pair: tuple[float, float]) -> None:
    boxes = scene.boxes
    if not len(boxes):
        return  # torchvision refuses an image without boxes
    expected = Matcher(*pair, False)(torch.from_numpy(iou_matrix(scene.grid, boxes).T))
    np.testing.assert_array_equal(MaxIoUAssigner(*pair)(scene.grid, boxes).matched, expected.numpy())


@pytest.mark.parametrize("count", [1, 20, 100])
@pytest.mark.parametrize("torchvision_anchors", [True, False])
def test_labels_are_those_of_torchvision_on_a_full_size_image(count: int, torchvision_anchors: bool) -> None:
    ratios = ((0.5, 1.0, 2.0),) * 5
    generator = AnchorGenerator.torchvision(SIZES, ratios) if torchvision_anchors else AnchorGenerator()
    grid, boxes = generator((800, 1344)), random_boxes(count, count)
    expected = Matcher(0.5, 0.4, False)(box_iou(torch.from_numpy(boxes), torch.from_numpy(grid.boxes))).numpy()
    assert len(grid) == 201_600
    assert (expected >= 0).any()
    np.testing.assert_array_equal(MaxIoUAssigner()(grid, boxes).matched, expected)


def test_sparse_and_dense_agree_and_ascend() -> None:
    grid, boxes = AnchorGenerator()((256, 256)), random_boxes(40, 0, 256, 256)
    assignment = MaxIoUAssigner()(grid, boxes)
    matched = assignment.matched
    assert matched.dtype == np.int32
    assert matched.shape == (len(grid),) == (assignment.count,)
    np.testing.assert_array_equal(assignment.anchors, np.flatnonzero(matched >= 0))
    np.testing.assert_array_equal(assignment.rows, matched[matched >= 0])
    np.testing.assert_array_equal(assignment.ignored, np.flatnonzero(matched == IGNORE))


def test_thresholds_hold_at_equality() -> None:
    """The box covers half of one square: IoU is exactly 0.5."""
    grid = SQUARES((10, 20))
    half = [[0, 0, 10, 5]]
    np.testing.assert_array_equal(MaxIoUAssigner(0.5, 0.4)(grid, half).matched, [0, BACKGROUND])
    np.testing.assert_array_equal(MaxIoUAssigner(0.51, 0.5)(grid, half).matched, [IGNORE, BACKGROUND])
    np.testing.assert_array_equal(MaxIoUAssigner(0.52, 0.51)(grid, half).matched, [BACKGROUND, BACKGROUND])


def test_rescue_holds_at_equality() -> None:
    grid = SQUARES((10, 20))
    np.testing.assert_array_equal(MaxIoUAssigner(0.9, 0.9, 0.5)(grid, [[0, 0, 10, 5]]).anchors, [0])
    np.testing.assert_array_equal(MaxIoUAssigner(0.9, 0.9, 0.51)(grid, [[0, 0, 10, 5]]).anchors, [])


def test_of_equal_boxes_the_lower_row_is_learned() -> None:
    assignment = MaxIoUAssigner()(SQUARES((10, 20)), [[0, 0, 10, 10], [0, 0, 10, 10]])
    np.testing.assert_array_equal(assignment.matched, [0, BACKGROUND])
    np.testing.assert_array_equal(assignment.unassigned, [1])


def test_an_anchor_of_the_padding_gets_no_box() -> None:
    """Of a padded image of 2 x 4 squares, the image covers 1.6 x 2.5: the third column's center is on its edge."""
    grid = SQUARES((20, 40))
    within = grid.within((0, 0, 16, 25))
    assert within.taking_part.reshape(2, 4).tolist() == [[True, True, False, False]] * 2
    assert within.boxes is grid.boxes
    box = [[21, 0, 25, 10]]  # inside the image, but the third square overlaps it most
    np.testing.assert_array_equal(MaxIoUAssigner(0.4, 0.4, 0)(grid, box).anchors, [2])
    np.testing.assert_array_equal(MaxIoUAssigner(0.4, 0.4, 0)(within, box).unassigned, [0])
    assert grid.within((0, 0, 20, 40)) is grid.within((0, 0, 16, 36)) is grid
    assert within.within((0, 0, 20, 40)) is grid
    assert not grid.within((0, 0, 4, 4)).taking_part.any()
    np.testing.assert_array_equal(MaxIoUAssigner(0.4, 0.4, 0)(grid.within((0, 0, 4, 4)), [[0, 0, 4, 4]]).anchors, [])


def test_a_box_outside_the_image_gets_no_anchor() -> None:
    assignment = MaxIoUAssigner(0.5, 0.4, 0)(SQUARES((20, 20)), [[100, 100, 110, 110]])
    np.testing.assert_array_equal(assignment.matched, [BACKGROUND] * 4)
    np.testing.assert_array_equal(assignment.unassigned, [0])


def test_a_box_without_area_gets_no_anchor() -> None:
    assert not len(MaxIoUAssigner(0.5, 0.4, 0)(SQUARES((20, 20)), [[5, 5, 5, 5], [2, 2, 8, 2]]).anchors)


def test_rescue_prefers_the_near_center_then_the_low_index() -> None:
    """The box (8, 6, 12, 14) meets the squares left and right of x = 10 and above and below y = 10 alike, at IoU
    8 / 124; moved up by 1 px, the upper two win."""
    grid = SQUARES((20, 20))
    np.testing.assert_array_equal(MaxIoUAssigner(0.5, 0.4, 0)(grid, [[8, 6, 12, 14]]).anchors, [0])
    wide = AnchorGenerator(strides=(10,), shapes=(((40, 40),),))((10, 20))  # both hold the box: IoU is flat
    np.testing.assert_array_equal(MaxIoUAssigner(0.5, 0.4, 0)(wide, [[10, 4, 12, 6]]).anchors, [1])


@pytest.mark.parametrize("turned", [False, True])
def test_rescue_prefers_the_near_center_on_either_axis_and_side(turned: bool) -> None:
    """All four anchors hold the box, so that IoU is flat; the box lies by the second, the third, ... of them."""
    large = AnchorGenerator(strides=(10,), shapes=(((90, 90),),))
    for near in range(4):
        box = np.array([10.0 * near + 4, 4, 10 * near + 6, 6]) + 0.5
        grid = large((40, 10) if turned else (10, 40))
        found = MaxIoUAssigner(0.5, 0.4, 0)(grid, [box[[1, 0, 3, 2]] if turned else box])
        np.testing.assert_array_equal(found.anchors, [near])


@pytest.mark.parametrize(
    ("box", "cells"),
    [
        ((12, 22, 16, 26), (1, 3, 0, 2)),  # the center (14, 24) is right of and below that of cell (1, 0)
        ((-90, -90, -80, -80), (0, 2, 0, 2)),
        ((90, 90, 92, 92), (3, 4, 1, 2)),
    ],
)
def test_a_first_bound_comes_from_the_cells_about_the_center(box: Any, cells: Any) -> None:
    """Of a board of 4 x 2 cells; a box outside of it looks at those of the border."""
    _, (lattice,) = shape_grids(SQUARES((40, 20)))
    assert cells_around(tuple(np.array(box, np.float32)), lattice) == cells


def test_no_more_is_searched_than_can_overlap_enough() -> None:
    """Anchors all alike, so that the border of a window is exact but for what rounding may move."""
    for seed in range(200):
        check_window(np.random.default_rng(seed))


def check_window(generator: np.random.Generator) -> None:
    """Of one random box over one random shape."""
    width, height = np.exp(generator.uniform(0, 5, 2)).round(1)
    grid = AnchorGenerator(strides=(8,), shapes=(((width, height),),))((120, 160))
    edges, (lattice,) = shape_grids(grid)
    corner, sides = generator.uniform(-20, 180, 2), np.exp(generator.uniform(-1, 5, 2))
    box = tuple(np.concatenate([corner, corner + sides]).astype(np.float32))
    shorter_x, shorter_y = min(box[2] - box[0], width), min(box[3] - box[1], height)
    needed = generator.uniform(0.01, 1) * shorter_x * shorter_y * generator.choice([1, 1.5])
    top, bottom, left, right = window(box, lattice, needed)
    empty = top == bottom
    if empty:
        assert (top, bottom, left, right) == (0, 0, 0, 0)
    enough = []
    for low, high, first, last, cells, begin, end, least in (
        (box[0], box[2], lattice.x1, lattice.x2, lattice.columns, left, right, needed / shorter_y),
        (box[1], box[3], lattice.y1, lattice.y2, lattice.rows, top, bottom, needed / shorter_x),
    ):
        shared = np.minimum(edges[last : last + cells], high) - np.maximum(edges[first : first + cells], low)
        looked_at = (begin <= np.arange(cells)) & (np.arange(cells) < end)
        slack = 8 * FUDGE + 1e-3
        assert (shared[looked_at] > least - slack).all()
        assert empty or (shared[~looked_at] < least + slack).all()
        enough.append((shared >= least + slack).any())
    assert not (empty and all(enough))


def test_rescue_takes_no_other_boxs_only_positive() -> None:
    """Box 0 has its square for its own; box 1, most of the same square, must go to the next best."""
    grid = SQUARES((10, 20))
    boxes = [[0, 0, 10, 10], [1, 0, 11, 10]]
    assignment = MaxIoUAssigner(0.9, 0.9, 0.05)(grid, boxes)
    np.testing.assert_array_equal(assignment.matched, [0, 1])
    assignment = MaxIoUAssigner(0.9, 0.9, 0.06)(grid, boxes)  # IoU 10 / 190 = 0.0526 is now too little
    np.testing.assert_array_equal(assignment.matched, [0, BACKGROUND])
    np.testing.assert_array_equal(assignment.unassigned, [1])


def test_rescue_takes_one_of_several_positives() -> None:
    """Both shapes are positive for both boxes, at IoU 100 / 140 and 140 / 200; box 1 comes second on each."""
    grid = PAIRS((10, 10))
    equal = [[0, -2, 10, 12], [0, -2, 10, 12]]
    np.testing.assert_array_equal(MaxIoUAssigner(0.6, 0.6)(grid, equal).matched, [0, 0])
    np.testing.assert_array_equal(MaxIoUAssigner(0.6, 0.6, 0.1)(grid, equal).matched, [1, 0])


def test_a_crowd_box_turns_background_off_and_makes_no_positive() -> None:
    """It covers square 0 wholly, 1 by exactly half and 2 not at all; square 0 is also learned in the second case."""
    grid = SQUARES((10, 30))
    assignment = MaxIoUAssigner()(grid, [[0, 0, 15, 10]], [True])
    np.testing.assert_array_equal(assignment.matched, [IGNORE, IGNORE, BACKGROUND])
    assert not len(assignment.unassigned)
    assignment = MaxIoUAssigner()(grid, [[0, 0, 15, 10], [0, 0, 10, 10]], [True, False])
    np.testing.assert_array_equal(assignment.matched, [1, IGNORE, BACKGROUND])
    np.testing.assert_array_equal(
        MaxIoUAssigner()(grid, [[0, 0, 14.9, 10]], [1]).matched, [IGNORE, BACKGROUND, BACKGROUND]
    )


@pytest.mark.parametrize("boxes", [[], np.zeros((0, 4)), np.zeros(0, np.float32)])
def test_an_image_without_boxes_is_background(boxes: ArrayLike) -> None:
    for assigner in (MaxIoUAssigner(), MaxIoUAssigner(0.5, 0.4, 0.1), MaxIoUAssigner(0.5, 0)):
        assignment = assigner(SQUARES((20, 20)), boxes)
        np.testing.assert_array_equal(assignment.matched, [BACKGROUND] * 4)
        assert not len(assignment.unassigned)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.int32, np.uint8])
def test_boxes_of_every_number_type(dtype: type) -> None:
    boxes: NDArray[Any] = np.array([[0, 0, 10, 10], [10, 0, 20, 10]], dtype)
    np.testing.assert_array_equal(MaxIoUAssigner()(SQUARES((10, 20)), boxes).matched, [0, 1])
    np.testing.assert_array_equal(MaxIoUAssigner()(SQUARES((10, 20)), boxes[::-1]).matched, [1, 0])


@pytest.mark.parametrize(
    ("boxes", "crowd", "sentence"),
    [
        ([[0, 0, 1, 1], [5, 0, 4, 1]], None, r"boxes\[1\] is \(5.0, 0.0, 4.0, 1.0\)"),
        ([[0, 0, np.nan, 1]], None, r"boxes\[0\] is .*nan"),
        ([[0, 0, 1e39, 1]], None, r"boxes\[0\] is .*1e\+39"),
        ([[0, 0, 1]], None, r"boxes must have shape \(N, 4\), got \(1, 3\)"),
        ([[0, 0, 1, 1]], [True, False], r"crowd must .*\(1,\), got \(2,\)"),
    ],
)
def test_bad_boxes_are_named(boxes: ArrayLike, crowd: ArrayLike | None, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        MaxIoUAssigner()(SQUARES((20, 20)), boxes, crowd)
    np.testing.assert_array_equal(MaxIoUAssigner()(SQUARES((20, 20)), [[0, 0, 10, 10]]).anchors, [0])


@pytest.mark.parametrize(
    "settings",
    [
        {"positive_iou": 0.3},
        {"negative_iou": -0.1},
        {"positive_iou": 1.1},
        {"positive_iou": 0, "negative_iou": 0},
        {"positive_iou": float("nan")},
        {"rescue_iou": 1.5},
        {"rescue_iou": -0.5},
    ],
)
def test_impossible_thresholds_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="_iou"):
        MaxIoUAssigner(**settings)
