"""ATSSAssigner against its definition, and on cases computed by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anchorloc.anchors import AnchorGenerator
from anchorloc.assign import ATSSAssigner
from anchorloc.structures import BACKGROUND, IGNORE
from tests.assign.assign_twins import Scene, atss_twin, scenes

SQUARES = AnchorGenerator(strides=(10,), shapes=(((10, 10),),))  # a board of squares, edge to edge


@settings(max_examples=300)
@given(scenes(), st.sampled_from([1, 2, 9, 30]))
def test_labels_are_those_of_brute_force(scene: Scene, candidates: int) -> None:
    assigner = ATSSAssigner(candidates)
    assignment = assigner(scene.grid, scene.boxes, scene.crowd)
    expected = atss_twin(assigner, scene.grid, scene.boxes, scene.crowd)
    np.testing.assert_array_equal(assignment.matched, expected)
    learned = np.isin(np.arange(len(scene.boxes)), expected)
    np.testing.assert_array_equal(assignment.unassigned, np.flatnonzero(~learned & ~scene.crowd))


def test_the_threshold_is_mean_plus_unbiased_deviation() -> None:
    """IoU 1/5, 1/2, 1/5: the threshold of all three is 0.3 + 0.17; that of the first two 0.35 + 0.21, where the
    deviation of a whole population, 0.15, would let 1/2 pass."""
    grid = SQUARES((10, 30))
    np.testing.assert_array_equal(ATSSAssigner(3)(grid, [[5, 0, 25, 10]]).anchors, [1])
    assignment = ATSSAssigner(2)(grid, [[5, 0, 25, 10]])  # cell 0, as near as cell 2
    np.testing.assert_array_equal(assignment.anchors, [])
    np.testing.assert_array_equal(assignment.unassigned, [0])


def test_a_single_candidate_has_no_deviation() -> None:
    np.testing.assert_array_equal(ATSSAssigner(1)(SQUARES((10, 10)), [[1, 1, 9, 9]]).anchors, [0])


def test_the_center_of_a_positive_lies_inside_by_a_hundredth_of_a_pixel() -> None:
    """The cell's center is (5, 5); the only candidate."""
    grid = SQUARES((10, 10))
    assert len(ATSSAssigner()(grid, [[4.98, 0, 10, 10]]).anchors) == 1
    assert len(ATSSAssigner()(grid, [[4.995, 0, 10, 10]]).anchors) == 0


def test_an_anchor_goes_to_its_greatest_iou_then_the_lower_row() -> None:
    grid = SQUARES((10, 10))
    worse, better = [0, 0, 9, 10], [0, 0, 10, 10]
    np.testing.assert_array_equal(ATSSAssigner()(grid, [worse, better, better]).rows, [1])
    np.testing.assert_array_equal(ATSSAssigner()(grid, [worse, better, better]).unassigned, [0, 2])


def test_every_level_offers_its_own_candidates() -> None:
    """The same square on both levels: IoU 1 twice, no deviation."""
    grid = AnchorGenerator(strides=(10, 10), shapes=(((10, 10),), ((10, 10),)))((10, 20))
    np.testing.assert_array_equal(ATSSAssigner(1)(grid, [[0, 0, 10, 10]]).anchors, [0, 2])


def test_a_crowd_box_turns_background_off() -> None:
    assignment = ATSSAssigner()(SQUARES((10, 20)), [[0, 0, 10, 10]], [True])
    np.testing.assert_array_equal(assignment.matched, [IGNORE, BACKGROUND])
    assert not len(assignment.unassigned)


def test_an_image_without_boxes_is_background() -> None:
    np.testing.assert_array_equal(ATSSAssigner()(SQUARES((10, 20)), []).matched, [BACKGROUND] * 2)


def test_no_candidates_are_refused() -> None:
    with pytest.raises(ValueError, match="topk must be a whole number of at least 1, got 0"):
        ATSSAssigner(0)
