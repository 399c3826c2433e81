"""Every part of the analysis on cases small enough to count by hand, most of them exactly on a border."""

from __future__ import annotations

import numpy as np
import pytest

from anchorloc.metrics.analysis import ERROR_TYPES, Analysis, AnalysisOptions, AnchorUsage, SliceScore, analyze
from anchorloc.metrics.analysis.slices import crowding_of
from anchorloc.structures import Category
from tests.metrics.evaluation_cases import found, target

BOX, FAR = [0.0, 0.0, 10.0, 10.0], [50.0, 50.0, 60.0, 60.0]
HALF, TENTH = [0.0, 0.0, 10.0, 5.0], [0.0, 0.0, 10.0, 1.0]  # IoU 0.5 and 0.1 with BOX
THREE = (Category(1, "cat"), Category(2, "dog"), Category(3, "owl"))


@pytest.mark.parametrize(
    ("box", "label", "expected"),
    [
        (HALF, 0, "duplicate"),
        (HALF, 1, "class"),
        (TENTH, 0, "localization"),
        (TENTH, 1, "both"),
        ([0.0, 0.0, 10.0, 0.9], 0, "background"),
        ([0.0, 0.0, 10.0, 4.9], 1, "both"),
        ([0.0, 0.0, 10.0, 4.9], 0, "localization"),
    ],
)
def test_an_iou_on_a_threshold_reaches_it(box: list[float], label: int, expected: str) -> None:
    """The box is taken by a detection of higher score."""
    analysis = analyze([target([BOX])], [found(1, [BOX, box], [0.9, 0.8], [0, label])], THREE)
    assert ERROR_TYPES[analysis.errors.types[1]] == expected
    assert analysis.errors.target_rows[1] == (0 if expected in ("class", "localization") else -1)


def test_of_equal_overlaps_the_own_class_decides() -> None:
    """A dog and a cat at one place, found as a cat of IoU 0.4."""
    analysis = analyze([target([BOX, BOX], [1, 0])], [found(1, [[0.0, 0.0, 10.0, 4.0]], [0.9])], THREE)
    assert analysis.errors.types.tolist() == [ERROR_TYPES.index("localization")]
    assert analysis.errors.target_rows.tolist() == [1]


def test_of_equal_boxes_the_first_is_the_target() -> None:
    one, low = target([FAR, BOX, BOX, BOX, BOX], [0, 1, 1, 0, 0]), [0.0, 0.0, 10.0, 4.0]
    errors = analyze([one], [found(1, [BOX, low], [0.9, 0.8], [2, 0])], THREE).errors
    assert errors.target_rows.tolist() == [1, 3]


def confused() -> Analysis:
    """Return the analysis of a cat found twice as a dog, a cat found as an owl, a dog found, and one stray cat."""
    boxes = [[20.0 * place, 0.0, 20.0 * place + 10, 10.0] for place in range(5)]
    one = target(boxes[:4], [0, 0, 1, 2])
    some = found(
        1,
        [boxes[0], boxes[0], boxes[1], boxes[2], boxes[4], boxes[2]],
        [0.95, 0.94, 0.93, 0.92, 0.91, 0.1],
        [1, 2, 2, 1, 0, 0],
    )
    return analyze([one, target([])], [some, found(2, [], [])], THREE)


def test_the_confusion_matrix_by_hand() -> None:
    analysis = confused()
    assert analysis.threshold == 0.92  # the only true positive
    assert analysis.bootstrap is None
    assert analysis.confusion.matrix.tolist() == [
        [0, 1, 1, 0],  # the first cat counts as the dog of higher score
        [0, 1, 0, 0],
        [0, 0, 0, 1],
        [0, 0, 1, 0],  # the owl on the first cat is left over; the stray cat is below the threshold
    ]
    assert list(analysis.confusion.pairs()) == [(0, 1, 1), (0, 2, 1)]
    assert analysis.confusion.boxes.tolist() == [2, 1, 1, 1]
    assert analysis.errors.counts.tolist() == [[0] * 6, [1, 0, 0, 0, 0, 0], [2, 0, 0, 0, 0, 1]]
    assert analysis.errors.totals == (3, 0, 0, 0, 0, 1)
    assert analysis.errors.kept.tolist() == [True, True, True, True, False, False]
    assert analysis.errors.missed.tolist() == [False, False, False, True]


def test_the_most_frequent_pair_comes_first() -> None:
    boxes = [[20.0 * place, 0.0, 20.0 * place + 10, 10.0] for place in range(4)]
    one = target(boxes, [0, 1, 1, 0])
    analysis = analyze([one], [found(1, boxes, [0.9, 0.8, 0.7, 0.6], [1, 2, 2, 0])], THREE)
    assert list(analysis.confusion.pairs()) == [(1, 2, 2), (0, 1, 1)]


def test_the_scores_of_images_by_hand() -> None:
    first, second = confused().images
    assert (first.index, first.boxes, first.true_positives, first.false_positives) == (0, 4, 1, 3)
    assert (first.f1, first.errors) == (2 / 8, 6)
    assert (second.index, second.boxes, second.f1, second.errors) == (1, 0, 1, 0)


def test_the_quality_of_boxes_by_hand() -> None:
    """A cat found at IoU 0.5 and at 0.8 with a lower score, one not found, and a crowd box that does not count."""
    one = target([BOX, FAR, [0, 0, 90, 90]], [0, 0, 1], [False, False, True])
    some = found(1, [[0.0, 0.0, 10.0, 8.0], HALF, FAR], [0.8, 0.9, 0.1], [0, 0, 1])
    quality = analyze([one, target([FAR], [1])], [some, found(2, [], [])], THREE).box_quality
    assert quality.class_corloc == 0.5  # one of two pairs of image and class: the top-scored cat is at 0.5
    assert quality.mean_iou == pytest.approx((0.8 + 0 + 0) / 3)
    assert quality.found_iou == 0.5
    nothing = analyze([target([])], [found(1, [BOX], [0.9])], THREE).box_quality
    assert (nothing.class_corloc, nothing.mean_iou, nothing.found_iou) == (None, None, None)


def test_long_curves_are_thinned_to_their_ends() -> None:
    """One right box, then 500 wrong ones in two images: 250 false positives an image."""
    strays = [[20.0, 0.0, 30.0, 10.0]] * 250
    scores = np.linspace(0.9, 0.1, 501)
    targets = [target([BOX]), target([])]
    some = [found(1, [BOX, *strays], scores[:251].tolist()), found(2, strays, scores[251:].tolist())]
    analysis = analyze(targets, some, THREE[:1], (1, 10, 300))
    curve = analysis.overall_curve
    assert len(curve.points) == 200
    assert [curve.points[place].threshold for place in (0, -1)] == [0.9, 0.1]
    assert curve.points[-1].precision == 1 / 501
    assert analysis.froc is not None
    assert analysis.froc.points == tuple((rate / 2, 1.0) for rate in range(17))  # up to 8 an image
    assert analysis.froc.mean == 1
    wrong = analyze([target([BOX])], [found(1, strays[:9], scores[:9].tolist())], THREE[:1])
    assert wrong.froc is not None
    assert wrong.froc.recall_at == dict.fromkeys((0.125, 0.25, 0.5, 1, 2, 4, 8), 0.0)
    assert [rate for rate, _ in wrong.froc.points] == list(range(1, 9))
    together = analyze([target([BOX])], [found(1, strays[:9], [0.5] * 9)], THREE[:1])
    assert together.froc is not None
    assert together.froc.points == ()


def test_a_score_on_the_border_of_a_bin_belongs_to_the_next_one_and_1_to_the_last() -> None:
    some = found(1, [BOX, FAR, FAR, FAR], [1.0, 0.95, 0.5, 0.0])
    calibration = analyze([target([BOX])], [some], THREE[:1]).calibration
    assert calibration is not None
    assert [count for count, _, _ in calibration.bins] == [1, 1, 2]
    assert calibration.bins[1] == (1, 0.5, 0.0)
    count, mean, precision = calibration.bins[2]
    assert (count, precision) == (2, 0.5)
    assert mean == pytest.approx(0.975)
    assert calibration.ece == pytest.approx((0 + 0.5 + 2 * 0.475) / 4)


def slices_of(boxes: list[list[float]], size: int = 100) -> dict[str, list[tuple[str, int]]]:
    """Return the names and numbers of boxes of each group's slices."""
    analysis = analyze(
        [target(boxes)], [found(1, [], [])], THREE[:1], options=AnalysisOptions(sizes=np.array([[size, size]]))
    )
    groups: dict[str, list[tuple[str, int]]] = {}
    for one in analysis.slices:
        groups.setdefault(one.group, []).append((one.name, one.boxes))
    return groups


def test_boxes_on_the_borders_of_sizes_and_shapes() -> None:
    squares = slices_of([[0, 0, side, side] for side in (10.0, 32.0, 32.25, 96.0, 96.25)])
    assert squares["size (COCO)"] == [("small", 2), ("medium", 2), ("large", 1)]
    quarters = slices_of([[0, 0, side, side] for side in (10.0, 20.0, 30.0, 40.0)])["size (quartiles)"]
    assert quarters == [("under 17.5 px", 1), ("17.5 to 25 px", 1), ("25 to 32.5 px", 1), ("from 32.5 px", 1)]
    three = slices_of([[0, 0, side, side] for side in (10.0, 20.0, 30.0)])["size (quartiles)"]
    assert three == [("under 15 px", 1), ("15 to 20 px", 0), ("20 to 25 px", 1), ("from 25 px", 1)]
    shapes: list[tuple[float, float]] = [(10, 4.9), (10, 5), (10, 8), (8, 10), (5, 10), (0, 0), (0, 5)]  # width, height
    groups = slices_of([[0, 0, width, height] for width, height in shapes])
    assert groups["height / width"] == [
        ("under 0.5", 1),
        ("0.5 to 0.8", 1),
        ("0.8 to 1.25", 2),
        ("1.25 to 2", 1),
        ("from 2", 2),
    ]
    assert slices_of([])["height / width (quartiles)"] == [("all", 0)]


def test_quartiles_leave_crowd_boxes_out() -> None:
    boxes = [[0, 0, side, side] for side in (10.0, 20.0, 30.0, 40.0, 100.0)]
    truth = target(boxes, crowd=[False, False, False, False, True])
    analysis = analyze([truth], [found(1, [], [])], THREE[:1])
    quarters = [one.name for one in analysis.slices if one.group == "size (quartiles)"]
    assert quarters == ["under 17.5 px", "17.5 to 25 px", "25 to 32.5 px", "from 32.5 px"]


def test_boxes_on_the_borders_of_places() -> None:
    cut: list[list[float]] = [[1, 40, 9, 50], [1.25, 40, 9, 50], [40, 1, 50, 9], [90, 40, 99, 50]]
    cut += [[90, 40, 98.75, 50], [40, 90, 50, 99]]
    assert slices_of(cut)["border of the image"] == [("inside", 2), ("cut by the border", 4)]
    centers = [(50, 34), (50, 33), (66, 34), (67, 33), (34, 50), (33, 66)]
    placed = slices_of([[x - 1, y - 1, x + 1, y + 1] for x, y in centers])
    assert placed["position in the image"] == [("center ninth", 3), ("along an edge", 2), ("in a corner", 1)]
    assert crowding_of(np.array([0.0, 1e-9, 0.2999, 0.3, 0.9])).tolist() == [0, 1, 1, 2, 2]


def slice_named(analysis: Analysis, name: str) -> SliceScore:
    return next(one for one in analysis.slices if one.name == name)


def test_the_numbers_of_a_slice_by_hand() -> None:
    """A small box found at IoU 0.775, one not found, a crowd box, and a large box found exactly."""
    large_box = [300.0, 0.0, 500.0, 200.0]
    one = target([BOX, FAR, [0, 0, 90, 90], large_box], crowd=[False, False, True, False])
    some = found(1, [[0.0, 0.0, 10.0, 7.75], large_box], [0.9, 0.8])
    analysis = analyze([one], [some], THREE[:1])
    small, medium, large = (slice_named(analysis, name) for name in ("small", "medium", "large"))
    assert (small.boxes, small.recall50) == (2, 0.5)
    assert small.ar == pytest.approx(0.3)
    assert small.iou == pytest.approx(0.775 / 2)
    assert small.ap50 == pytest.approx(51 / 101)
    assert small.ap == pytest.approx(0.6 * 51 / 101)  # found at 6 of 10 thresholds
    assert (medium.boxes, medium.ap, medium.ap50, medium.recall50, medium.ar, medium.iou) == (0, *[None] * 5)
    assert (large.boxes, large.recall50, large.ar, large.iou) == (1, 1, 1, 1)
    assert large.ap == pytest.approx(1)
    assert large.ap50 == pytest.approx(1)
    isolated = slice_named(analysis, "isolated")  # no crowd box is a neighbor
    assert (isolated.boxes, isolated.ap, isolated.ap50, isolated.recall50) == (3, None, None, 2 / 3)


def test_the_contributions_of_shapes_by_hand() -> None:
    """Level 0 finds a box at IoU 0.8 and level 1 another exactly; a third detection is wrong and a fourth is weak."""
    usage = AnchorUsage(
        np.array([0, 1, 1, 0]), np.array([0, 1, 0, 1]), (8.0, 16.0), (((4.0, 4.0), (4.0, 8.0)),) * 2, (0.8, 0.2)
    )
    boxes = [[0.0, 0.0, 10.0, 8.0], FAR, [80.0, 0.0, 90.0, 10.0], [80.0, 0.0, 90.0, 10.0]]
    some = found(1, boxes, [0.9, 0.8, 0.85, 0.1])
    analysis = analyze([target([BOX, FAR])], [some], THREE[:1], options=AnalysisOptions(anchor_usage=usage))
    assert analysis.threshold == 0.8
    assert [(one.level, one.stride, one.size) for one in analysis.shapes] == [
        (level, stride, size) for level, stride in ((0, 8), (1, 16)) for size in (None, (4, 4), (4, 8))
    ]
    assert [one.anchors for one in analysis.shapes] == pytest.approx([0.8, 0.4, 0.4, 0.2, 0.1, 0.1])
    thirds = [one.detection_fraction for one in analysis.shapes]
    assert thirds == pytest.approx([1 / 3, 1 / 3, 0, 2 / 3, 1 / 3, 1 / 3])
    assert [one.true_positive_fraction for one in analysis.shapes] == [0.5, 0.5, 0, 0.5, 0, 0.5]
    ious = [one.iou for one in analysis.shapes]
    assert ious == [pytest.approx(0.8), pytest.approx(0.8), None, 1, None, 1]


@pytest.mark.parametrize("crowd", [False, True])
def test_no_detection_and_nothing_found_are_no_division_by_zero(crowd: bool) -> None:
    usage = AnchorUsage(np.zeros(1, np.int64), np.zeros(1, np.int64), (8.0,), (((4.0, 4.0),),), (1.0,))
    one = target([BOX], crowd=[crowd])
    (shape,) = analyze([one], [found(1, [FAR], [0.9])], THREE, options=AnalysisOptions(anchor_usage=usage)).shapes
    assert (shape.detection_fraction, shape.true_positive_fraction, shape.iou) == (1, 0, None)
    assert shape.ap_loss == (None if crowd else 0)
