"""Test the numbers against pycocotools, used as its users do, and against published numbers."""

from __future__ import annotations

import copy
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from pycocotools import coco as coco_module
from pycocotools import cocoeval as cocoeval_module

from anchorloc.errors import InputError
from anchorloc.metrics import ClassMetrics, Evaluation, OperatingPoint, best_f1, evaluate
from anchorloc.metrics.box_tables import DetectionTable, truth_table
from anchorloc.metrics.coco_evaluation import image_order
from anchorloc.metrics.evidence import too_few_of_each
from anchorloc.metrics.matching import group_detections
from anchorloc.structures import Category, Detections, Target
from tests.metrics.evaluation_cases import found, from_coco, iou, random_set, raw_pycocotools, target

PUBLISHED = {  # public detectors on coco128: AP, AP50, AP75, AP s/m/l, AR 1/10/100, AR s/m/l
    "yolox_nano_416": ".3407 .5020 .3741 .1186 .2849 .4943 .2880 .4583 .4684 .1691 .3960 .6240",
    "nanodet_m_416_letterbox": ".2603 .4314 .2675 .1000 .2272 .3960 .2429 .3993 .4153 .1516 .3684 .5443",
    "fastestdet_352": ".2123 .3678 .2078 .0527 .1547 .3399 .2157 .3279 .3329 .0764 .2360 .4887",
}
BOX = [0.0, 0.0, 10.0, 10.0]


@pytest.mark.parametrize("seed", range(100))
def test_the_arrays_and_numbers_of_pycocotools(seed: int) -> None:
    truth, results = random_set(seed)
    evaluation = evaluate(*from_coco(truth, results))
    raw = raw_pycocotools(truth, results, [1, 10, 100])
    assert np.array_equal(evaluation.scores.precision, raw.eval["precision"][..., -1])
    assert np.array_equal(evaluation.scores.recall, raw.eval["recall"])
    assert [-1 if number is None else number for number in evaluation.summary.named().values()] == raw.stats.tolist()


@pytest.mark.parametrize("seed", range(120, 130))
def test_without_sizes_the_other_numbers_are_the_same(seed: int) -> None:
    truth, results = random_set(seed)
    whole, part = (evaluate(*from_coco(truth, results), by_size=by_size) for by_size in (True, False))
    assert np.array_equal(part.scores.precision[..., 0], whole.scores.precision[..., 0])
    assert np.array_equal(part.scores.matches, whole.scores.matches)
    assert (part.summary.ap, part.summary.ap50, part.summary.ar) == (
        whole.summary.ap,
        whole.summary.ap50,
        whole.summary.ar,
    )
    assert part.summary.ap_small is part.summary.ar_large is None
    assert part.classes == whole.classes


@pytest.mark.parametrize("seed", range(100, 120))
@pytest.mark.parametrize("limits", [[1, 2, 3], [5], [1, 10, 300]])
def test_other_limits_give_ap(seed: int, limits: list[int]) -> None:
    truth, results = random_set(seed)
    evaluation = evaluate(*from_coco(truth, results), max_detections=limits)
    raw = raw_pycocotools(truth, results, limits)
    precision, recall = raw.eval["precision"], raw.eval["recall"]
    assert evaluation.summary.ap == precision[..., 0, -1][precision[..., 0, -1] > -1].mean()
    assert evaluation.summary.ar == tuple(
        recall[:, :, 0, m][recall[:, :, 0, m] > -1].mean() for m in range(len(limits))
    )
    assert f"AR{limits[-1]}" in evaluation.summary.named()
    counts = Counter((result["image_id"], result["category_id"]) for result in results)
    assert evaluation.over_max_detections == sum(max(0, count - limits[-1]) for count in counts.values())


@pytest.mark.parametrize("name", PUBLISHED)
def test_public_detectors_on_coco128(name: str, real_data: Path) -> None:
    folder = real_data / "coco128"
    truth = json.loads((folder / "annotations" / "instances_val.json").read_text())
    results = json.loads((folder / "detections" / f"{name}.json").read_text())
    evaluation = evaluate(*from_coco(truth, results))
    numbers = [f"{number:.4f}".lstrip("0") for number in evaluation.summary.named().values() if number is not None]
    assert " ".join(numbers) == PUBLISHED[name]


@pytest.mark.parametrize("seed", range(20))
def test_the_numbers_do_not_hang_on_the_order_of_the_images(seed: int) -> None:
    targets, detections, categories = from_coco(*random_set(seed))
    backwards = evaluate(targets[::-1], detections[::-1], categories)
    assert backwards.summary == evaluate(targets, detections, categories).summary


@pytest.mark.parametrize("seed", range(20))
def test_the_matches_are_those_of_the_protocol(seed: int) -> None:
    """Compare with a greedy reference by descending score, on sets without crowd boxes and equal scores."""
    truth, results = random_set(seed)
    for annotation in truth["annotations"]:
        annotation["iscrowd"] = 0
    for rank, result in enumerate(results):
        result["score"] = 1 / (rank + 2)
    targets, detections, categories = from_coco(truth, results)
    for one, some, matched in zip(targets, detections, evaluate(targets, detections, categories).matched, strict=True):
        free = set(range(len(one)))
        for row in range(len(some)):
            overlaps = {index: iou(some.boxes[row], one.boxes[index]) for index in sorted(free)}
            mine = {i: o for i, o in overlaps.items() if o >= 0.5 and one.labels[i] == some.labels[row]}
            best = max(mine.values(), default=0)
            winners = [index for index, overlap in mine.items() if overlap == best]
            assert matched[row] in (winners or [-1])
            free.discard(int(matched[row]))


def classes(count: int) -> tuple[Category, ...]:
    return tuple(Category(number + 1, f"class {number}") for number in range(count))


def test_truth_as_detections_is_perfect() -> None:
    boxes = [BOX, [20.1, 20.2, 77.7, 60.3], [5.0, 5.0, 205.0, 305.0]]
    result = evaluate([target(boxes)], [found(1, boxes, [0.9, 0.8, 0.7])], classes(1))
    assert [result.summary.ap, result.summary.ap_small, result.summary.ar[-1]] == pytest.approx([1, 1, 1], abs=1e-12)
    assert result.matched[0].tolist() == [0, 1, 2]
    assert result.warnings == ()


def test_no_detections_is_ap_0_and_said() -> None:
    result = evaluate([target([BOX])], [found(1, [], [])], classes(2))
    assert result.summary.ap == 0
    assert result.summary.ap_large is None  # no large box: nothing to be bad at
    assert [metrics.ap for metrics in result.classes] == [0, None]
    assert result.operating_point is None
    assert result.warnings == ("there are no detections, so every number is 0",)


@pytest.mark.parametrize("images", [0, 1])
def test_no_truth_is_no_ap(images: int) -> None:
    result = evaluate([target([])] * images, [found(1, [BOX], [0.5])] * images, classes(1))
    assert set(result.summary.named().values()) == {None}
    assert result.empty_images == result.unscored_detections == result.detections == images
    assert "there is no ground-truth box, so there is no AP" in result.warnings


def test_false_detections_of_a_class_without_truth_leave_the_mean_alone_and_are_told() -> None:
    result = evaluate([target([BOX])], [found("a", [BOX, BOX], [0.5, 0.9], [0, 1])], classes(2))
    assert result.summary.ap == pytest.approx(1, abs=1e-12)
    assert (result.classes[1].ap, result.classes[1].detections, result.unscored_detections) == (None, 1, 1)
    assert result.warnings == ("1 detection belongs to a class without ground truth; no metric counts it",)
    two = evaluate([target([BOX])], [found("a", [BOX] * 3, [0.5] * 3, [0, 1, 1])], classes(2))
    assert two.warnings == ("2 detections belong to classes without ground truth; no metric counts them",)


def test_a_crowd_is_neither_truth_nor_error() -> None:
    crowd = target([BOX, [0, 0, 100, 100]], crowd=[False, True])
    result = evaluate([crowd], [found(1, [[50, 50, 60, 60], BOX, [70, 50, 80, 60]], [0.9, 0.8, 0.7])], classes(1))
    assert result.summary.ap == pytest.approx(1, abs=1e-12)
    assert result.matched[0].tolist() == [-2, 0, -2]
    assert (result.boxes, result.crowds) == (1, 1)
    assert result.operating_point is not None
    assert (result.operating_point.precision, result.operating_point.recall) == (1, 1)


def test_nothing_is_changed_and_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    targets, detections, categories = from_coco(*random_set(0))
    before = copy.deepcopy((targets, detections))
    evaluate(targets, detections, categories)
    evaluate(targets, detections, categories, scorer="pycocotools")
    print("still here")
    assert capsys.readouterr().out == "still here\n"
    assert not {"print"} & {*vars(coco_module), *vars(cocoeval_module)}
    for old, new in zip([*before[0], *before[1]], [*targets, *detections], strict=True):
        assert all(np.array_equal(vars(old)[name], vars(new)[name]) for name in vars(old))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("part", ["boxes", "scores"])
def test_what_is_not_finite_is_refused(value: float, part: str) -> None:
    detections = found("cat.jpg", [BOX, BOX], [0.5, 0.4])
    getattr(detections, part)[-1] = value
    with pytest.raises(InputError, match=r"cat\.jpg"):
        evaluate([target([BOX])], [detections], classes(1))


@pytest.mark.parametrize(
    ("targets", "detections", "limits", "words"),
    [
        ([target([BOX])], [], [100], "0 for 1"),
        ([target([])] * 2, [found(1, [], [])] * 2, [100], "same image_id"),
        ([target([BOX], [1])], [found(1, [], [])], [100], r"targets\[0\] row 0"),
        ([target([]), target([BOX, [0, 0, np.nan, 1]])], [found(1, [], []), found(2, [], [])], [100], r"\[1\] row 1"),
        ([target([])], [found(1, [[5, 0, 4, 1]], [0.5])], [100], "negative size"),
        ([target([])], [found(1, [BOX], [0.5], [-1])], [100], "label -1"),
        ([target([])], [found(1, [], [])], [100, 10], "ascending"),
        ([target([])], [found(1, [], [])], [], "ascending"),
        ([target([])], [found(1, [], [])], [0, 1], "at least 1"),
    ],
)
def test_arguments_that_do_not_fit(
    targets: list[Target], detections: list[Detections], limits: list[int], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        evaluate(targets, detections, classes(1), limits)


def test_counts() -> None:
    targets = [target([BOX, BOX, BOX], [0, 0, 2], [False, True, False]), target([BOX]), target([])]
    detections = [found(1, [BOX] * 4, [0.9, 0.8, 0.7, 0.6]), found(2, [BOX], [0.9], [2]), found(3, [], [])]
    result: Evaluation = evaluate(targets, detections, classes(3), [3])
    assert (result.images, result.empty_images, result.boxes, result.crowds, result.detections) == (3, 1, 3, 1, 5)
    first, absent, second = result.classes
    assert (first.images, first.boxes, first.crowds, first.detections) == (2, 2, 1, 4)
    assert (absent.images, absent.boxes, absent.crowds, absent.detections) == (0, 0, 0, 0)
    assert (second.images, second.boxes, second.crowds, second.detections) == (1, 1, 0, 1)
    assert result.over_max_detections == 1
    (lone,) = evaluate([target([BOX, BOX]), target([BOX])], [found(1, [], []), found(2, [], [])], classes(1)).classes
    assert (lone.images, lone.boxes) == (2, 3)
    said = "1 detection past the first 3 of a class and image: left out, as by COCO"
    assert result.warnings == (said,)


@pytest.mark.parametrize("seed", range(30))
def test_the_best_f1_is_the_best_of_all_thresholds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(1, 6, rng.integers(1, 20)) / 5
    right = rng.random(len(scores)) < 0.5
    boxes = int(right.sum() + rng.integers(0, 3))
    point = best_f1(scores, right, boxes)
    if not right.any():
        assert point is None
        return
    every = {t: 2 * right[scores >= t].sum() / ((scores >= t).sum() + boxes) for t in np.unique(scores)}
    assert point is not None
    assert (point.f1, point.threshold) == max((f1, t) for t, f1 in every.items())
    assert point.precision == right[scores >= point.threshold].mean()
    assert point.recall == right[scores >= point.threshold].sum() / boxes


def test_the_threshold_of_a_precision_by_hand() -> None:
    """A right box of 0.8 after a wrong one; a detection on a crowd box and one past the limit do not count."""
    one = target([BOX, [0, 0, 100, 100]], crowd=[False, True])
    some = [found(1, [[200, 0, 210, 10], [50, 50, 60, 60], BOX, [200, 0, 210, 10]], [0.9, 0.85, 0.8, 0.7])]
    result = evaluate([one], some, classes(1), [3])
    assert result.at_precision(some, 0.5) == OperatingPoint(0.8, 0.5, 1.0, 2 / 3)
    assert result.at_precision(some, 0.51) is None
    assert evaluate([target([])], some, classes(1)).at_precision(some, 0.5) is None


def test_a_class_has_few_boxes_under_ten_boxes_or_ten_images() -> None:
    def few(boxes: int, images: int) -> bool:
        return ClassMetrics(Category(1, "x"), 0.5, 0.5, 0.5, 0.5, images, boxes, 0, 9).few

    assert [few(10, 10), few(9, 9), few(10, 9), few(1, 1), few(0, 0)] == [False, True, True, True, False]
    images = np.array([*range(10), *range(10), 9, *range(9), 0, *range(9)])
    groups = np.repeat([0, 1, 2, 3], [10, 11, 10, 9])
    assert too_few_of_each(images, groups, 5).tolist() == [False, False, True, True, True]
    assert too_few_of_each(images[:0], groups[:0], 2).tolist() == [True, True]


def test_equal_scores_are_ranked_by_image_id_with_numbers_first() -> None:
    detections = [found(image_id, [], []) for image_id in ("b", 10, "a", 9)]
    assert image_order(detections) == [3, 1, 2, 0]


@pytest.mark.parametrize("images", [65_536, 65_537])  # up to 65,536 are sorted as 16 bits
def test_detections_are_grouped_by_image_in_the_order_of_the_images(images: int) -> None:
    owner = np.array([images - 1, 3, 65_535, 0, 3])
    table = DetectionTable(owner, np.zeros((5, 4)), np.zeros(5, np.int64), np.array([0.5, 0.5, 0.9, 0.5, 0.7]))
    groups = group_detections(truth_table([], 1), table, range(images), 1, 2)
    assert groups.rows.tolist() == [3, 4, 1, 2, 0]
    assert groups.ranks.tolist() == [0, 0, 1, 0, int(images == 65_536)]
    backwards = group_detections(truth_table([], 1), table, range(images)[::-1], 1, 1)
    assert backwards.rows.tolist() == ([2, 4, 3] if images == 65_536 else [0, 2, 4, 3])
