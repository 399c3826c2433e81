"""The numbers of one object an image, by hand and against a loop, and what counts as a collapse."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorloc.boxes import box_iou
from anchorloc.metrics import LOCALIZATION_IOUS, Localization, localize
from anchorloc.metrics.localization_scores import box_std
from anchorloc.structures import Detections, Target
from tests.metrics.evaluation_cases import found, target


def boxes_found(boxes: list[list[float] | None], labels: list[int]) -> list[Detections]:
    """Return one detection, or none, for each image."""
    pairs = zip(boxes, labels, strict=True)
    return [
        found(i, [box] if box else [], [0.5] * bool(box), [label] if box else [])
        for i, (box, label) in enumerate(pairs)
    ]


def truths(boxes: list[list[float]], labels: list[int]) -> list[Target]:
    return [target([box], [label]) for box, label in zip(boxes, labels, strict=True)]


def test_the_numbers_by_hand() -> None:
    targets = truths([[0, 0, 40, 40], [0, 0, 40, 40], [10, 10, 50, 50], [20, 20, 60, 60]], [0, 1, 0, 0])
    detections = boxes_found([[0, 0, 40, 40], [0, 0, 40, 40], [10, 10, 50, 34], None], [0, 0, 0, 0])  # IoU 0.6 is third
    result = localize(targets, detections, [(100, 200)] * 4)
    assert result.images == 4
    assert result.top1_loc_error == 0.5
    assert result.top1_class_error == 0.5
    assert result.corloc == 0.75
    assert result.mean_iou == pytest.approx(2.6 / 4)
    assert result.max_box_acc == (0.75, 0.75, 0.5)
    mean = np.array([[7.5, 7.5, 47.5, 47.5]])
    assert result.constant_iou == pytest.approx(box_iou(mean, np.concatenate([t.boxes for t in targets])).mean())
    centers, heights = np.array([[0.1, 0.2], [0.1, 0.2], [0.15, 0.22]]), np.array([0.4, 0.4, 0.24])
    assert result.box_std == pytest.approx(math.sqrt(centers.var(axis=0).sum() + heights.var()))
    corners = np.array([[0, 0], [0, 0], [10, 10], [20, 20]]) / [200, 100]  # the boxes have one size
    assert result.true_box_std == pytest.approx(math.sqrt(corners.var(axis=0).sum()))
    assert not result.collapsed


@pytest.mark.parametrize(("height", "expected"), [(3, (1, 0, 0)), (5, (1, 1, 0)), (7, (1, 1, 1)), (2.9, (0, 0, 0))])
def test_an_iou_at_a_threshold_reaches_it(height: float, expected: tuple[float, ...]) -> None:
    result = localize(truths([[0, 0, 10, 10]], [0]), boxes_found([[0, 0, 10, height]], [0]), [(10, 10)])
    assert result.max_box_acc == expected
    assert (result.corloc, result.top1_loc_error) == (expected[1], 1 - expected[1])


def test_the_first_detection_counts_and_crowd_boxes_do_not() -> None:
    box, far = [0.0, 0, 4, 4], [5.0, 5, 9, 9]
    one = target([far, box], [1, 0], [True, False])
    result = localize([one], [found(1, [box, far], [0.9, 0.8], [0, 1])], [(10, 10)])
    assert (result.mean_iou, result.top1_loc_error, result.top1_class_error) == (1, 0, 0)


@given(st.integers(0, 2**32), st.integers(1, 8))
def test_the_numbers_agree_with_a_loop(seed: int, count: int) -> None:
    random = np.random.default_rng(seed)
    corners = random.integers(0, 90, (2, count, 2))
    boxes = np.concatenate([corners, corners + random.integers(5, 40, (2, count, 2))], axis=2).astype(np.float64)
    labels, classes = random.integers(0, 2, (2, count)).tolist()
    result = localize(truths(boxes[0].tolist(), labels), boxes_found(boxes[1].tolist(), classes), [(130, 130)] * count)
    ious = [box_iou(a[None], b[None])[0, 0] for a, b in zip(*boxes, strict=True)]
    wrong = [iou < 0.5 or a != b for iou, a, b in zip(ious, labels, classes, strict=True)]
    assert result.top1_loc_error == pytest.approx(np.mean(wrong))
    assert result.max_box_acc == pytest.approx([np.mean([iou >= t for iou in ious]) for t in LOCALIZATION_IOUS])
    assert result.corloc == result.max_box_acc[1]
    assert 0 <= result.constant_iou <= 1


def test_the_spread_of_boxes_by_hand() -> None:
    assert box_std(np.zeros((0, 4))) == 0
    boxes = np.array([[0.0, 0.0, 0.2, 0.4], [0.2, 0.1, 0.8, 0.9]])
    center_x, center_y, width, height = (0.1, 0.5), (0.2, 0.5), (0.2, 0.6), (0.4, 0.8)
    expected = sum(float(np.var(pair)) for pair in (center_x, center_y, width, height))
    assert box_std(boxes) == pytest.approx(math.sqrt(expected))


@pytest.mark.parametrize(
    ("mean", "constant", "spread", "true_spread", "expected"),
    [
        (0.5, 0.5, 0.1, 0.2, False),  # half the spread
        (0.5, 0.5, 0.0999, 0.2, True),
        (0.57, 0.5, 0.0, 0.2, True),  # a gain of 0.15 times what the constant box lacks is 0.575
        (0.58, 0.5, 0.0, 0.2, False),
        (0.15, 0.0, 0.0, 0.2, False),
        (0.5, 0.5, 0.0, 0.01, True),
        (0.5, 0.5, 0.0, 0.0099, False),  # there is nothing to follow
    ],
)
def test_what_a_collapse_is(mean: float, constant: float, spread: float, true_spread: float, expected: bool) -> None:
    result = Localization(9, 0.5, 0.1, 0.5, mean, (0.6, 0.5, 0.4), constant, box_std=spread, true_box_std=true_spread)
    assert result.collapsed is expected
    assert result.box_std_ratio == (spread / true_spread if true_spread >= 0.01 else 1)


def test_boxes_that_do_not_follow_have_collapsed_and_those_that_do_have_not() -> None:
    random = np.random.default_rng(0)
    corners = random.random((50, 2)) * 60
    boxes = np.concatenate([corners, corners + 40], axis=1)
    targets, sizes = truths(boxes.tolist(), [0] * 50), [(100, 100)] * 50
    constant = localize(targets, boxes_found([boxes.mean(axis=0).tolist()] * 50, [0] * 50), sizes)
    assert constant.mean_iou == pytest.approx(constant.constant_iou)
    assert constant.box_std_ratio == pytest.approx(0, abs=1e-9)
    assert constant.collapsed
    close = localize(targets, boxes_found((boxes + 3).tolist(), [0] * 50), sizes)
    assert close.box_std_ratio == pytest.approx(1)
    assert not close.collapsed


@pytest.mark.parametrize("boxes", [[], [[0.0, 0, 4, 4], [5.0, 5, 9, 9]]])
def test_other_counts_have_no_numbers(boxes: list[list[float]]) -> None:
    some = [found(1, [], [])]
    with pytest.raises(ValueError, match=rf"targets\[1\] has {len(boxes)} objects; localization needs exactly one"):
        localize([target([[0, 0, 4, 4]]), target(boxes)], some * 2, [(10, 10)] * 2)
    for images, detections, sizes in (((), (), ()), ((target(boxes),), (), ((1, 1),)), ((target(boxes),), some, ())):
        with pytest.raises(ValueError, match="equally many"):
            localize(images, detections, sizes)
