"""Test the fast scorer against pycocotools to the bit, and images that count several times."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorloc.metrics import (
    Bootstrap,
    Interval,
    Scorer,
    bootstrap,
    evaluate,
    image_weights,
    match_targets,
    weighted_curves,
    weighted_scores,
)
from anchorloc.metrics.matching import MatchResult
from anchorloc.metrics.resampling import basic_interval, coco_numbers
from anchorloc.metrics.weighted_ap import scores_of_sets
from anchorloc.structures import Category
from tests.metrics.evaluation_cases import Json, found, from_coco, random_set, raw_pycocotools, target, without_ties

LIMITS = (1, 10, 100)
SCORERS: tuple[Scorer, ...] = ("pycocotools", "anchorloc")


def match_result_of(truth: Json, results: list[Json]) -> MatchResult:
    return match_targets(*from_coco(truth, results), LIMITS[-1])


def copied(truth: Json, results: list[Json], weights: Sequence[int]) -> tuple[Json, list[Json]]:
    """Return the data set that holds image i weights[i] times, each copy with an id of its own."""
    images: list[Json] = []
    annotations: list[Json] = []
    found: list[Json] = []
    for image, weight in zip(truth["images"], weights, strict=True):
        for _ in range(weight):
            new = {"image_id": len(images) + 1}
            images.append({"id": len(images) + 1})
            annotations += [{**a, **new} for a in truth["annotations"] if a["image_id"] == image["id"]]
            found += [{**r, **new} for r in results if r["image_id"] == image["id"]]
    return {**truth, "images": images, "annotations": annotations}, found


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("limits", [LIMITS, (5,), (1, 2, 3)])
def test_the_arrays_of_pycocotools(seed: int, limits: tuple[int, ...]) -> None:
    case = from_coco(*random_set(seed))
    record, fast = (evaluate(*case, max_detections=limits, scorer=scorer) for scorer in SCORERS)
    for name in ("precision", "recall", "matches", "ignored"):
        assert np.array_equal(getattr(record.scores, name), getattr(fast.scores, name)), name
    assert record.summary == fast.summary


@pytest.mark.parametrize("field", ["area", "iscrowd"])
@pytest.mark.parametrize("seed", range(200, 210))
def test_a_field_that_is_missing_everywhere(seed: int, field: str) -> None:
    truth, results = random_set(seed)
    for annotation in truth["annotations"]:
        annotation.pop(field, None)
    fast, raw = evaluate(*from_coco(truth, results)), raw_pycocotools(truth, results, list(LIMITS))
    assert np.array_equal(fast.scores.precision, raw.eval["precision"][..., -1])
    assert np.array_equal(fast.scores.recall, raw.eval["recall"])


def test_without_sizes_the_fast_arrays_are_those_of_pycocotools_too() -> None:
    case = from_coco(*random_set(0))
    record, fast = (evaluate(*case, by_size=False, scorer=scorer) for scorer in SCORERS)
    assert np.array_equal(record.scores.precision, fast.scores.precision)


@pytest.mark.parametrize("images", [0, 1])
@pytest.mark.parametrize("classes", [0, 1])
def test_what_is_empty_is_scored(images: int, classes: int) -> None:
    categories = (Category(1, "x"),) * classes
    assert evaluate([target([])] * images, [found(1, [], [])] * images, categories).summary.ap is None


@pytest.mark.parametrize("seed", range(30))
def test_weights_of_1_give_the_numbers_of_pycocotools(seed: int) -> None:
    truth, results = random_set(seed)
    match_result, raw = match_result_of(truth, results), raw_pycocotools(truth, results, list(LIMITS))
    curves = weighted_curves(match_result, np.ones(len(truth["images"]), np.int64), LIMITS)
    assert np.array_equal(curves.precision.transpose(2, 3, 0, 1), raw.eval["precision"][..., -1])
    assert np.array_equal(curves.recall.transpose(2, 0, 1, 3), raw.eval["recall"])
    assert curves.ap == pytest.approx(curves.precision.mean(axis=3), abs=1e-12)
    assert list(np.nan_to_num(list(coco_numbers(curves, LIMITS).values()), nan=-1)) == pytest.approx(raw.stats)


@given(st.integers(0, 10_000), st.lists(st.integers(0, 3), min_size=12, max_size=12))
def test_weights_give_what_pycocotools_gives_for_copies(seed: int, weights: list[int]) -> None:
    truth, results = without_ties(seed)
    curves = weighted_curves(match_result_of(truth, results), np.array(weights), LIMITS)
    more, found_more = copied(truth, results, weights)
    if not found_more:
        return  # pycocotools cannot read an empty result
    raw = raw_pycocotools(copy.deepcopy(more), found_more, list(LIMITS))
    assert np.array_equal(curves.precision.transpose(2, 3, 0, 1), raw.eval["precision"][..., -1])
    assert np.array_equal(curves.recall.transpose(2, 0, 1, 3), raw.eval["recall"])


@pytest.mark.parametrize("weights", [np.ones(3, np.int64), np.full(12, -1), np.ones(12), np.ones((12, 1), np.int64)])
def test_wrong_weights_are_refused(weights: Any) -> None:
    with pytest.raises(ValueError, match="need 12 whole numbers"):
        weighted_scores(match_result_of(*random_set(0)), weights)


def test_several_sets_of_weights_are_scored_as_each_alone() -> None:
    """More sets than one pass takes; one of them is too large for sums of 32 bits, another empty."""
    match_result = match_result_of(*random_set(5))
    sets = [np.arange(12) % (k + 1) for k in range(9)] + [np.zeros(12, np.int64), np.full(12, 1 << 30)]
    for weights, scores in zip(sets, scores_of_sets(match_result, sets, LIMITS), strict=True):
        alone = weighted_scores(match_result, weights, LIMITS)
        assert np.array_equal(scores.ap, alone.ap)
        assert np.array_equal(scores.recall, alone.recall)
    assert scores.ap == pytest.approx(weighted_scores(match_result).ap)


def test_the_bootstrap_is_what_its_resamples_are_one_by_one() -> None:
    match_result = match_result_of(*without_ties(3, images=24))
    drawn = [
        list(coco_numbers(weighted_scores(match_result, weights, LIMITS), LIMITS).values())
        for weights in image_weights(24, 50, seed=4)
    ]
    one, two = (bootstrap(match_result, LIMITS, 50, seed=4, threads=threads) for threads in (1, 2))
    assert one.summary == two.summary
    whole = coco_numbers(weighted_scores(match_result, None, LIMITS), LIMITS)
    for (name, interval), column in zip(one.summary.items(), np.array(drawn).T, strict=True):
        alone = basic_interval(whole[name], column)
        if interval is None or alone is None:
            assert interval is alone is None
            assert np.isnan(column).any()
            continue
        assert (interval.low, interval.high) == pytest.approx((alone.low, alone.high), abs=1e-12)
    assert one.summary["AP"] is not None
    assert one.summary["AP"].low < whole["AP"] < one.summary["AP"].high
    assert one.classes[-1] is None  # no truth, so no number
    assert bootstrap(match_result, LIMITS, 50, seed=5).summary != one.summary


def test_a_draw_takes_as_many_images_as_there_are() -> None:
    weights = np.array(list(image_weights(7, 4000, seed=0)))
    assert set(weights.sum(axis=1).tolist()) == {7}
    assert np.allclose(weights.mean(axis=0), 1, atol=0.06)
    assert np.allclose(weights.var(axis=0), 6 / 7, atol=0.1)
    assert list(image_weights(0, 10, seed=0)) == []


def test_no_images_and_no_resamples_give_no_intervals() -> None:
    nothing = match_targets([], [], (Category(1, "x"),), 100)
    none: Bootstrap = bootstrap(nothing, LIMITS, 10)
    assert set(none.summary.values()) == {None}
    assert set(bootstrap(match_result_of(*random_set(0)), LIMITS, 0).summary.values()) == {None}
    box = [[0.0, 0, 10, 10]]
    one_image = match_targets([target(box)], [found(0, box, [0.9])], (Category(1, "x"),), 100)
    assert set(bootstrap(one_image, LIMITS, 10).summary.values()) == {None}
    assert bootstrap(one_image, LIMITS, 10).classes == (None,)


@pytest.mark.parametrize(
    ("small", "large", "expected"),
    [
        ([1] * 9, [], set()),  # under 10 images with a box
        ([1] * 10, [], {"all", "s", "small"}),
        ([1] * 10, [1] * 9, {"all", "s", "small"}),  # 9 large boxes
        ([1] * 10, [1] * 10, {"all", "s", "l", "small", "large"}),
        ([2] * 8, [3] * 9, {"all"}),  # 17 images have a box, fewer of either kind
        ([1] * 9 + [0] * 20, [], set()),  # images without boxes do not count
    ],
)
def test_too_few_boxes_or_images_have_no_interval(small: list[int], large: list[int], expected: set[str]) -> None:
    """Each number of boxes is an image; every second box is found."""
    corners = [10, 200]
    boxes = [
        [[0.0, 0.0, side, side * (1 + n)] for n in range(count)]
        for side, counts in zip(corners, (small, large), strict=True)
        for count in counts
    ]
    labels = [label for label, counts in enumerate((small, large)) for _ in counts]
    targets = [target(one, [label] * len(one)) for one, label in zip(boxes, labels, strict=True)]
    detections = [
        found(i, one[:1] if i % 2 else [], [0.9][: len(one) * (i % 2)], [label][: len(one) * (i % 2)])
        for i, (one, label) in enumerate(zip(boxes, labels, strict=True))
    ]
    match_result = match_targets(targets, detections, (Category(1, "small"), Category(2, "large")), 100)
    intervals = bootstrap(match_result, LIMITS, 200)
    known = {name for name, one in intervals.summary.items() if one is not None}
    assert known == {
        name
        for name in intervals.summary
        if ("all" in expected and name[-1] not in "sml") or (name[-1] in "sl" and name[-1] in expected)
    }
    assert [one is not None for one in intervals.classes] == ["small" in expected, "large" in expected]


def test_resamples_that_agree_have_no_interval() -> None:
    box = [[0.0, 0, 10, 10]]
    perfect = match_targets(
        [target(box)] * 30, [found(i, box, [0.9 - i / 100]) for i in range(30)], (Category(1, "x"),), 100
    )
    assert set(bootstrap(perfect, LIMITS, 50).summary.values()) == {None}
    assert basic_interval(0.3, np.full(50, 0.1 + 0.2)) is None


def test_an_interval_is_laid_about_its_number() -> None:
    for value, resampled, expected in (
        (0.5, np.linspace(0.6, 0.8, 1001), Interval(0.405, 0.595)),
        (1.0, np.linspace(0.9, 1.0, 11), Interval(0.9525, 1)),
        (0.0, np.linspace(0.0, 0.1, 11), Interval(0, 0.0475)),
    ):
        interval = basic_interval(value, resampled)
        assert interval is not None
        assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))
    assert basic_interval(0.5, np.array([0.1, np.nan])) is None


def test_intervals_cover() -> None:
    """The interval of a set of 60 images contains the mean AP of all such sets in 95% of cases."""
    random, simulations, pool = np.random.default_rng(0), 150, 1500
    right = random.random(pool) < 0.6
    targets = [target([[0, 0, 10, 10]])] * pool
    scores = np.where(right, random.beta(4, 2, pool), random.beta(2, 4, pool))
    boxes = [[[0.0, 0, 10, 10] if one else [20.0, 0, 30, 10]] for one in right]
    detections = [found(i, box, [score]) for i, (box, score) in enumerate(zip(boxes, scores.tolist(), strict=True))]
    match_result = match_targets(targets, detections, (Category(1, "x"),), 100, by_size=False)

    def ap(images: Any) -> float:
        return float(weighted_scores(match_result, np.bincount(images, minlength=pool)).ap.mean())

    draws = [random.choice(pool, 60, replace=False) for _ in range(simulations)]
    own = np.array([ap(images) for images in draws])
    covered = 0
    for images, value in zip(draws, own.tolist(), strict=True):
        interval = basic_interval(value, np.array([ap(images[random.integers(0, 60, 60)]) for _ in range(100)]))
        covered += interval is not None and interval.low <= own.mean() <= interval.high
    assert covered / simulations >= 0.88  # 0.95, less what 100 resamples of 60 images and 150 sets leave to chance
