"""Test the analysis against cases counted by hand and simple reference implementations."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from anchorloc.metrics import best_f1, evaluate
from anchorloc.metrics.analysis import ERROR_TYPES, Analysis, AnalysisOptions, AnchorUsage, analyze
from anchorloc.structures import Category, Detections, Target
from tests.metrics.evaluation_cases import found, from_coco, iou, random_set, target, without_ties

BOX, FAR = [0.0, 0.0, 10.0, 10.0], [50.0, 50.0, 60.0, 60.0]
NEAR = [0.0, 0.0, 10.0, 4.0]  # IoU 0.4 with BOX
TWO = (Category(1, "cat"), Category(2, "dog"))


def random_case(seed: int, ties: bool = False) -> tuple[list[Target], list[Detections], tuple[Category, ...]]:
    return from_coco(*(random_set(seed) if ties else without_ties(seed)))


def errors_of(boxes: list[list[float]], labels: list[int], scores: list[float]) -> dict[str, int]:
    """One image with a cat at BOX and a dog at FAR."""
    one = target([BOX, FAR], [0, 1])
    analysis = analyze([one], [found(1, boxes, scores, labels)], TWO)
    return {kind: count for kind, count in zip(ERROR_TYPES, analysis.errors.totals, strict=True) if count}


@pytest.mark.parametrize(
    ("boxes", "labels", "scores", "expected"),
    [
        ([BOX, FAR], [0, 1], [0.9, 0.8], {}),
        ([BOX, FAR], [1, 1], [0.9, 0.8], {"class": 1}),
        ([NEAR, FAR], [0, 1], [0.9, 0.8], {"localization": 1}),
        ([NEAR, FAR], [1, 1], [0.9, 0.8], {"both": 1, "missed": 1}),
        ([BOX, BOX, FAR], [0, 0, 1], [0.9, 0.85, 0.8], {"duplicate": 1}),
        ([[30, 0, 40, 10], BOX, FAR], [0, 0, 1], [0.95, 0.9, 0.8], {"background": 1}),
        ([FAR], [1], [0.8], {"missed": 1}),
        ([FAR, BOX], [1, 1], [0.8, 0.1], {"missed": 1}),  # an error below the score threshold, 0.8
        ([], [], [], {"missed": 2}),
    ],
)
def test_each_kind_of_error(
    boxes: list[list[float]], labels: list[int], scores: list[float], expected: dict[str, int]
) -> None:
    assert errors_of(boxes, labels, scores) == expected


def test_an_error_mended_gives_its_part_of_ap50() -> None:
    one, some = target([BOX, FAR], [0, 1]), found(1, [BOX, FAR], [0.9, 0.8], [1, 1])
    errors = analyze([one], [some], TWO).errors
    assert errors.ap50 == pytest.approx(0.25)  # cat 0; dog 1/2, for its first detection is wrong
    gains = dict(zip(ERROR_TYPES, errors.gains, strict=True))
    assert gains["class"] == pytest.approx(0.75)
    assert gains["missed"] == 0  # the cat is seen, if under another name
    none = analyze([one], [found(1, [FAR], [0.8], [1])], TWO).errors
    assert none.gains[ERROR_TYPES.index("missed")] == pytest.approx(0.5)


def test_counts_and_gains_are_about_the_same_errors() -> None:
    """Three cats and a dog; below the threshold of 0.8 are a right box of the last cat and three errors."""
    other, third = [20.0, 0.0, 30.0, 10.0], [80.0, 0.0, 90.0, 10.0]
    one = target([BOX, other, third, FAR], [0, 0, 0, 1])
    wrong = [0.0, 80.0, 9.0, 89.0]
    boxes, labels = [BOX, other, FAR, wrong, wrong, third, wrong], [0, 0, 1, 0, 0, 0, 1]
    analysis = analyze([one], [found(1, boxes, [0.9, 0.85, 0.8, 0.3, 0.3, 0.2, 0.1], labels)], TWO)
    assert analysis.threshold == 0.8
    assert analysis.errors.totals == (0, 0, 0, 0, 0, 1)
    gains = dict(zip(ERROR_TYPES, analysis.errors.gains, strict=True))
    assert gains["background"] == 0  # the errors below the threshold are not counted, so they gain nothing
    ap = (67 + 34 * 0.6) / 101  # AP50 of cats: precision 1 up to recall 2/3, then 3/5
    assert analysis.errors.ap50 == pytest.approx((ap + 1) / 2)
    assert gains["missed"] == pytest.approx((1 - ap) / 2)  # the box is gone, with its right box of score 0.2


def test_a_fixed_error_takes_the_box_of_a_match_below_the_threshold() -> None:
    """Two cats, the second of which is found as a dog, and again as a cat of score 0.1."""
    cat, wrong = [20.0, 0.0, 30.0, 10.0], [0.0, 80.0, 9.0, 89.0]
    one = target([BOX, cat, FAR], [0, 0, 1])
    boxes, scores = [FAR, cat, BOX, wrong, wrong, wrong, cat], [0.95, 0.92, 0.9, 0.5, 0.5, 0.5, 0.1]
    analysis = analyze([one], [found(1, boxes, scores, [1, 1, 0, 0, 0, 0, 0])], TWO)
    assert analysis.threshold == 0.9
    assert analysis.errors.totals == (1, 0, 0, 0, 0, 0)
    ap = (51 + 50 * 0.4) / 101  # AP50 of cats; the dog comes before its error
    assert analysis.errors.ap50 == pytest.approx((ap + 1) / 2)
    assert analysis.errors.gains[ERROR_TYPES.index("class")] == pytest.approx((1 - ap) / 2)


def test_one_score_for_all_recommends_no_threshold() -> None:
    analysis = analyze([target([BOX, FAR])], [found(1, [BOX, [30, 0, 40, 10]], [1.0, 1.0])], TWO[:1])
    assert (analysis.threshold, analysis.classes[0].recommended) == (None, None)
    assert analysis.errors.kept.all()
    assert best_f1(np.ones(2), np.array([True, False]), 2) is None
    lone = best_f1(np.ones(1), np.array([True]), 2)
    assert lone is not None  # one detection is no sign of missing scores
    assert (lone.threshold, lone.recall) == (1, 0.5)


@pytest.mark.parametrize("seed", range(20))
def test_every_wrong_detection_and_every_box_is_counted_once(seed: int) -> None:
    targets, detections, categories = random_case(seed, ties=True)
    analysis, evaluation = analyze(targets, detections, categories), evaluate(targets, detections, categories)
    errors, matrix = analysis.errors, analysis.confusion.matrix
    kept = np.concatenate([some.scores for some in detections]) >= (analysis.threshold or 0)
    wrong = kept & (np.concatenate(evaluation.matched) == -1)
    assert sum(errors.totals) - errors.totals[-1] == wrong.sum()
    assert matrix[:-1].sum() == evaluation.boxes
    assert np.trace(matrix) == (kept & (np.concatenate(evaluation.matched) >= 0)).sum()
    assert np.array_equal(matrix[:-1, :-1].sum(1) + matrix[:-1, -1], [one.boxes for one in evaluation.classes])
    assert errors.ap50 == pytest.approx(evaluation.summary.ap50)
    pairs = list(analysis.confusion.pairs())
    assert sum(count for *_, count in pairs) == matrix[:-1, :-1].sum() - np.trace(matrix)
    assert sum(one.boxes for one in analysis.images) == evaluation.boxes
    assert sum(one.errors for one in analysis.images) == wrong.sum() + evaluation.boxes - np.trace(matrix)


@pytest.mark.parametrize("seed", range(10))
def test_the_kinds_are_those_of_the_definition(seed: int) -> None:
    targets, detections, categories = random_case(seed)
    kinds = analyze(targets, detections, categories).errors.types
    matched = evaluate(targets, detections, categories).matched
    expected = []
    for one, some, rows in zip(targets, detections, matched, strict=True):
        for box, label, row in zip(some.boxes, some.labels, rows, strict=True):
            overlaps = [(iou(box, other), one.labels[i] == label) for i, other in enumerate(one.boxes)]
            overlaps = [pair for pair, crowd in zip(overlaps, one.crowd, strict=True) if not crowd]
            same, best = max((o for o, alike in overlaps if alike), default=0.0), max(overlaps, default=(0.0, False))
            if row != -1:
                expected.append(-1)
            elif same >= 0.5:
                expected.append(ERROR_TYPES.index("duplicate"))
            elif best[0] < 0.1:
                expected.append(ERROR_TYPES.index("background"))
            elif best[1]:
                expected.append(ERROR_TYPES.index("localization"))
            else:
                expected.append(ERROR_TYPES.index("class" if best[0] >= 0.5 else "both"))
    assert kinds.tolist() == expected


def perfect() -> Analysis:
    boxes = [BOX, FAR, [20.0, 20.0, 28.0, 36.0], [20.0, 21.0, 28.0, 37.0]]
    targets = [target(boxes, [0, 1, 0, 1]), target([]), target([BOX, FAR], [0, 0], [False, True])]
    detections = [found(i, one.boxes.tolist(), [1.0] * len(one), one.labels.tolist()) for i, one in enumerate(targets)]
    return analyze(targets, detections, TWO, options=AnalysisOptions(sizes=np.full((3, 2), 100)))


def test_truth_as_detections_is_exactly_clean() -> None:
    analysis = perfect()
    errors = analysis.errors
    assert (sum(errors.totals), set(errors.gains)) == (0, {0.0})
    assert errors.ap50 == pytest.approx(1)
    matrix = analysis.confusion.matrix
    assert np.array_equal(matrix, np.diag(np.diag(matrix)))
    assert list(analysis.confusion.pairs()) == []
    assert analysis.overall_curve.best is None  # all detections have one score
    (point,) = analysis.overall_curve.points
    assert (point.precision, point.recall, point.f1) == (1, 1, 1)
    assert analysis.calibration is not None
    assert analysis.calibration.ece == 0
    assert analysis.froc is not None
    assert analysis.froc.mean == 1
    assert [one.f1 for one in analysis.images] == [1, 1, 1]
    assert all(value in (None, 1) for value in vars(analysis.box_quality).values())
    for one in analysis.slices:
        assert one.boxes == 0 or (one.recall50, one.ar, one.iou) == (1, 1, 1)
        assert one.ap is None or one.ap == pytest.approx(1)


@pytest.mark.parametrize("boxes", [[], [BOX]])
@pytest.mark.parametrize("some", [[], [FAR]])
def test_what_is_empty_or_all_wrong_is_analyzed(boxes: list[list[float]], some: list[list[float]]) -> None:
    usage = AnchorUsage(np.zeros(len(some), np.int64), np.zeros(len(some), np.int64), (8.0,), (((4.0, 4.0),),), (1.0,))
    options = AnalysisOptions(0.5, np.array([[100, 100]]), usage, 5)
    analysis = analyze([target(boxes)], [found(1, some, [0.5] * len(some))], TWO, options=options)
    assert analysis.threshold is None
    assert sum(analysis.errors.totals) == len(boxes) + len(some)
    assert analyze([], [], TWO, options=replace(options, sizes=None, anchor_usage=None)).images == ()


def test_recommended_thresholds() -> None:
    one = target([BOX, FAR])
    some = found(1, [BOX, [30, 0, 40, 10], FAR, [30, 30, 40, 40]], [0.9, 0.8, 0.7, 0.6])
    [curve] = analyze([one], [some], TWO[:1]).classes
    assert curve.recommended is not None
    assert curve.recommended == best_f1(some.scores.astype(np.float64), np.array([True, False, True, False]), 2)
    assert curve.recommended.threshold == 0.7
    for precision, threshold in ((0.9, 0.9), (0.6, 0.7), (0.5, 0.7)):
        [curve] = analyze([one], [some], TWO[:1], options=AnalysisOptions(precision)).classes
        assert curve.at_precision is not None
        assert (curve.at_precision.threshold, curve.recommended) == (threshold, curve.at_precision)
    assert [point.recall for point in curve.points] == [0.5, 0.5, 1, 1]


def test_a_precision_that_no_threshold_keeps_leaves_best_f1() -> None:
    one, some = target([BOX]), found(1, [FAR, BOX], [0.9, 0.8])
    [curve] = analyze([one], [some], TWO[:1], options=AnalysisOptions(0.9)).classes
    assert curve.at_precision is None
    assert curve.recommended == curve.best


def test_froc_and_calibration_by_hand() -> None:
    targets = [target([BOX]), target([BOX])]
    some = [found(1, [BOX, FAR], [0.95, 0.85]), found(2, [BOX, FAR, FAR], [0.35, 0.85, 0.05])]
    analysis = analyze(targets, some, TWO[:1])
    assert analysis.froc is not None
    assert analysis.froc.recall_at == {0.125: 0.5, 0.25: 0.5, 0.5: 0.5, 1: 1, 2: 1, 4: 1, 8: 1}
    assert analysis.calibration is not None
    assert [count for count, _, _ in analysis.calibration.bins] == [1, 1, 2, 1]
    assert analysis.calibration.ece == pytest.approx((0.05 + 0.65 + 2 * 0.85 + 0.05) / 5)


@pytest.mark.parametrize("seed", range(10))
def test_size_slices_are_cocos(seed: int) -> None:
    targets, detections, categories = random_case(seed)
    for one in targets:  # no area on a border, which COCO counts twice
        one.area[np.isin(one.area, [1024, 9216])] += 0.5
    moved = [replace(some, boxes=np.add(some.boxes, [0, 0, 1 / 64, 0])) for some in detections]
    summary = evaluate(targets, moved, categories).summary
    slices = {one.name: one for one in analyze(targets, moved, categories).slices if one.group == "size (COCO)"}
    for name, ap in (("small", summary.ap_small), ("medium", summary.ap_medium), ("large", summary.ap_large)):
        assert slices[name].ap == (None if ap is None else pytest.approx(ap))


def test_slices_divide_the_boxes() -> None:
    targets, detections, categories = random_case(1)
    sizes = np.full((len(targets), 2), 150)
    analysis = analyze(targets, detections, categories, options=AnalysisOptions(sizes=sizes))
    boxes = sum(int((~one.crowd).sum()) for one in targets)
    groups = {one.group for one in analysis.slices}
    assert len(groups) == 7
    for group in groups:
        assert sum(one.boxes for one in analysis.slices if one.group == group) == boxes


def test_border_place_and_crowding_by_hand() -> None:
    one = target([[0, 40, 10, 50], [45, 45, 55, 55], [45, 46, 55, 56], [80, 80, 90, 90]])
    analysis = analyze([one], [found(1, [], [])], TWO[:1], options=AnalysisOptions(sizes=np.array([[100, 100]])))
    counts = {(s.group, s.name): s.boxes for s in analysis.slices}
    assert counts["border of the image", "cut by the border"] == 1
    assert [counts["position in the image", name] for name in ("center ninth", "along an edge", "in a corner")] == [
        2,
        1,
        1,
    ]
    assert (counts["crowding", "isolated"], counts["crowding", "crowded, IoU 0.3 and more"]) == (2, 2)


def test_localization_by_hand() -> None:
    targets = [target([BOX]), target([BOX]), target([])]
    some = [found(1, [FAR, BOX], [0.9, 0.8]), found(2, [NEAR], [0.7]), found(3, [], [])]
    some[1] = found(2, [[0, 0, 10, 8]], [0.7])
    quality = analyze(targets, some, TWO[:1]).box_quality
    assert quality.class_corloc == 0.5  # the surest of the first image is wrong
    assert quality.mean_iou == pytest.approx((1 + 0.8) / 2)


def test_a_shape_is_tested_by_leaving_its_detections_out() -> None:
    targets, detections, categories = random_case(5)
    count = sum(len(some) for some in detections)
    usage = AnchorUsage(
        np.arange(count) % 2, np.arange(count) // 2 % 2, (8.0, 16.0), (((4.0, 4.0), (4.0, 8.0)),) * 2, (0.8, 0.2)
    )
    shapes = analyze(targets, detections, categories, options=AnalysisOptions(anchor_usage=usage)).shapes
    assert [(one.level, one.size) for one in shapes[:4]] == [(0, None), (0, (4, 4)), (0, (4, 8)), (1, None)]
    assert sum(one.true_positive_fraction for one in shapes if one.size) == pytest.approx(1)
    assert sum(one.anchors for one in shapes if one.size) == pytest.approx(1)
    starts = np.cumsum([0, *map(len, detections)])
    rest = [
        some.take(np.flatnonzero((start + np.arange(len(some))) % 2 != 0))
        for some, start in zip(detections, starts, strict=False)
    ]
    full, without = (evaluate(targets, some, categories).summary.ap for some in (detections, rest))
    assert full is not None
    assert without is not None
    assert shapes[0].ap_loss == pytest.approx(full - without)
    assert math.isclose(shapes[0].detection_fraction + shapes[3].detection_fraction, 1)


def test_a_level_of_one_shape_is_that_shape() -> None:
    usage = AnchorUsage(
        np.zeros(1, np.int64), np.zeros(1, np.int64), (8.0, 16.0), (((4.0, 4.0),), ((9.0, 8.0),)), (0.8, 0.2)
    )
    shapes = analyze([target([BOX])], [found(1, [BOX], [0.9])], TWO, options=AnalysisOptions(anchor_usage=usage)).shapes
    assert [one.size for one in shapes] == [(4, 4), (9, 8)]
    assert [one.ap_loss for one in shapes] == pytest.approx([1, 0])
