"""NMS: the obvious loop, the laws, torchvision, and the inputs on which others fail."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from anchorloc.boxes import batched_nms, box_area, box_iou, nms, soft_nms
from anchorloc.boxes.nms_kernels import fits_grid, reach
from anchorloc.boxes.nms_kernels import nms as nms_kernel
from anchorloc.boxes.order import descending
from anchorloc.boxes.tables import box_table
from tests.boxes.box_strategies import FLOATS, GRID, Numbers, boxes, many, values

Array = NDArray[Any]
Scored = tuple[Array, Array]

THRESHOLDS = st.sampled_from([0.0, 0.1, 0.25, 0.3, 1 / 3, 0.5, 0.6, 2 / 3, 0.7, 0.75, 0.9, 1.0]) | st.floats(0, 1)
SPECIAL = np.array([0.0, -math.inf, -1.0, -0.0, 0.25, 0.5, 1.0, math.inf])


def scores_of(others: Numbers) -> Numbers:
    """One in two a number that is likely to occur twice, else one of the others."""

    def numbers(drawn: Array, dtype: Any) -> Array:
        special = SPECIAL[drawn["value"] % len(SPECIAL)].astype(dtype)
        return np.where(drawn["kind"] & 1, others(drawn, dtype), special)

    return numbers


def fractions(drawn: Array, dtype: Any) -> Array:
    """From 0 to 1."""
    return (drawn["value"] / 2.0**64).astype(dtype)


def any_bits(drawn: Array, dtype: Any) -> Array:
    """Any number, or none."""
    return drawn["value"].astype(f"u{np.dtype(dtype).itemsize}").view(dtype)


def slow_nms(some: Array, scores: Array, threshold: float) -> list[int]:
    """The definition: from the top, a box stays unless one that stays overlaps it by more than the threshold."""
    overlap = box_iou(some, some).tolist()
    kept: list[int] = []
    for i in sorted(range(len(some)), key=lambda i: (-float(scores[i]), i)):
        if all(overlap[k][i] <= threshold for k in kept):
            kept.append(i)
    return kept


@st.composite
def scored(draw: st.DrawFn, max_size: int = 20) -> Scored:
    """Boxes with scores, many of them equal."""
    dtype = draw(FLOATS)
    some = draw(boxes(dtype, max_size=max_size))
    return some, draw(values(draw(FLOATS), scores_of(fractions), len(some)))


def clusters(count: int, seed: int, dtype: Any = np.float32, spread: float = 5.0) -> Scored:
    """Boxes of 1 to 1000 px, eight about each object, with distinct scores."""
    rng = np.random.default_rng(seed)
    sides = np.exp(rng.uniform(0, np.log(1000), (count // 8, 1))) * np.exp(rng.normal(0, 0.5, (count // 8, 2)))
    centers = rng.uniform(-500 * spread, 500 * spread, (count // 8, 2))
    centers, sides = np.repeat(centers, 8, axis=0), np.repeat(sides, 8, axis=0)
    centers = centers + rng.normal(0, 0.1, centers.shape) * sides
    sides = sides * np.exp(rng.normal(0, 0.1, sides.shape))
    some = np.concatenate([centers - sides / 2, centers + sides / 2], axis=1).astype(dtype)
    return some, rng.permutation(len(some)).astype(dtype) / len(some)


@many
@given(scored(), THRESHOLDS)
def test_nms_is_the_obvious_loop(pair: Scored, threshold: float) -> None:
    some, scores = pair
    kept = nms(some, scores, threshold)
    assert kept.dtype == np.int64
    assert kept.tolist() == slow_nms(some, scores, threshold)


@many
@given(scored(), THRESHOLDS)
def test_nms_of_what_stays_changes_nothing(pair: Scored, threshold: float) -> None:
    some, scores = pair
    kept = nms(some, scores, threshold)
    assert nms(some[kept], scores[kept], threshold).tolist() == list(range(len(kept)))


@many
@given(scored(), THRESHOLDS)
def test_every_suppressed_box_overlaps_a_kept_one_of_no_lower_score(pair: Scored, threshold: float) -> None:
    some, scores = pair
    kept = nms(some, scores, threshold)
    gone = np.setdiff1d(np.arange(len(some)), kept)
    reason = (box_iou(some[gone], some[kept]) > threshold) & (scores[gone][:, None] <= scores[kept])
    assert reason.any(axis=1).all()


@many
@given(scored(), THRESHOLDS, st.randoms(use_true_random=False))
def test_nms_does_not_depend_on_the_order_of_distinct_scores(pair: Scored, threshold: float, random: Any) -> None:
    some, _ = pair
    order = np.array(random.sample(range(len(some)), len(some)), np.int64)
    scores = np.arange(len(some))
    assert order[nms(some[order], scores[order], threshold)].tolist() == nms(some, scores, threshold).tolist()


@many
@given(FLOATS.flatmap(lambda dtype: boxes(dtype, max_size=30)), st.floats(0.3, 1), st.data())
def test_the_grid_decides_as_the_scan_does(some: Array, threshold: float, data: st.DataObject) -> None:
    copies = data.draw(st.lists(st.integers(0, max(len(some) - 1, 0)), max_size=30)) if len(some) else []
    shifts = data.draw(st.lists(st.floats(-0.5, 0.5), min_size=len(copies), max_size=len(copies)))
    sides = some[copies][:, 2:] - some[copies][:, :2]
    near = some[copies] + np.tile(np.array(shifts, some.dtype)[:, None] * sides, 2)
    table = box_table(np.concatenate([some, near]))
    scan, grid = np.empty((2, table.shape[1]), np.bool_)
    bounds, limit = np.array([0, len(scan)]), table.dtype.type(threshold)
    nms_kernel(table, bounds, limit, len(scan), scan)
    for kept_first in (0, 3):
        nms_kernel(table, bounds, limit, kept_first, grid)
        np.testing.assert_array_equal(grid, scan)


@pytest.mark.parametrize("threshold", [0.3, 0.4, 0.5, 0.6, 0.8, 0.95])
@pytest.mark.parametrize("origin", [0.0, 2.0**50])
def test_the_grid_finds_partners_at_the_end_of_their_reach(threshold: float, origin: float) -> None:
    """Pairs of IoU just above the threshold, as far apart or as unlike in size as that allows: the smaller in a corner
    of the larger, or both of one size and shifted. Far from the origin a center is off by a good part of a box."""
    rng = np.random.default_rng(0)
    count, unit = 2000, 256.0 if origin else 1.0
    sides = rng.uniform(1, 2, (count, 2)) * 2.0 ** rng.integers(0, 8, (count, 1)) * unit
    stretch = (1 / (threshold + 0.002)) ** rng.choice([0, 0.5, 1], count)
    larger = sides * np.stack([stretch, 1 / (threshold + 0.002) / stretch], axis=1)
    gap = (1 - threshold - 0.002) / (1 + threshold + 0.002) * sides * rng.permuted(np.tile([0, 1], (count, 1)), axis=1)
    shifted = rng.random(count) < 0.3
    larger[shifted] = sides[shifted]
    corner = np.where(shifted[:, None], gap, (larger - sides) * rng.integers(0, 2, (count, 2)))
    place = origin + np.arange(count)[:, None] * 2.0**12 * unit + rng.uniform(0, 100, (count, 2)) * unit
    pairs = [
        np.concatenate(ends, axis=1) for ends in ((place, place + larger), (place + corner, place + corner + sides))
    ]
    some = np.concatenate(pairs[:: rng.choice([-1, 1])])
    table, bounds = box_table(some), np.array([0, 2 * count])
    keep = np.empty(2 * count, np.bool_)
    nms_kernel(table, bounds, threshold, 0, keep)
    assert keep[:count].all()
    assert not keep[count:].any()


def test_the_grid_finds_partners_about_the_origin() -> None:
    """Boxes of one center, on either axis or both, each a little larger than the one before."""
    sides = np.repeat([[1.0, 1], [1.1, 1.1], [40, 40], [41, 41]], 3, axis=0)
    centers = np.tile([[0.0, 0], [0, 300], [300, 0]], (4, 1))
    some = np.concatenate([centers - sides / 2, centers + sides / 2], axis=1)
    keep = np.zeros(len(some), np.bool_)
    nms_kernel(box_table(some), np.array([0, len(some)]), 0.5, 0, keep)
    np.testing.assert_array_equal(keep, np.repeat([True, False, True, False], 3))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("threshold", [0.0, 0.2, 0.3, 0.5, 0.7, 0.95])
@pytest.mark.parametrize("spread", [1.0, 20.0])
def test_many_boxes_stay_as_in_torchvision(dtype: type, threshold: float, spread: float) -> None:
    some, scores = clusters(8000, 0, dtype, spread)
    peer = torchvision.ops.nms(torch.from_numpy(some), torch.from_numpy(scores), threshold)
    assert threshold == 0 or len(peer) > 600  # enough for the grid to take over; at 0 few boxes of a crowd stay
    np.testing.assert_array_equal(nms(some, scores, threshold), peer.numpy())


def test_many_equal_scores_go_to_the_lower_index() -> None:
    some, _ = clusters(4000, 1)
    scores = np.random.default_rng(0).integers(0, 5, len(some)).astype(np.float32)
    assert nms(some, scores, 0.5).tolist() == slow_nms(some, scores, 0.5)
    some[:] = np.arange(len(some))[:, None] + [0, 0, 0.5, 0.5]  # nothing overlaps: only the order is left
    np.testing.assert_array_equal(nms(some, scores, 0.5), np.argsort(-scores, kind="stable"))


@many
@given(FLOATS.flatmap(lambda dtype: values(dtype, scores_of(any_bits), 30)))
def test_the_order_is_that_of_a_stable_sort(scores: Array) -> None:
    """Zeros of both signs are equal, infinities have their place, NaN is refused."""
    if np.isnan(scores).any():
        with pytest.raises(ValueError, match=rf"scores\[{np.isnan(scores).argmax()}\] is nan"):
            descending(scores)
    else:
        np.testing.assert_array_equal(descending(scores), np.argsort(-scores, kind="stable"))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("values", [3, 300, 10**6])
def test_the_order_of_many_scores_is_that_of_a_stable_sort(dtype: type, values: int) -> None:
    rng = np.random.default_rng(0)
    scores: Array = (rng.integers(-values, values, 30_000) / values * 10.0 ** rng.integers(-30, 30)).astype(dtype)
    np.testing.assert_array_equal(descending(scores), np.argsort(-scores, kind="stable"))


@pytest.mark.parametrize("side", [6e-23, 1e-19])
def test_many_boxes_of_hardly_any_area_stay_as_in_the_obvious_loop(side: float) -> None:
    """Near the end of the float range an area has a few bits only, and the bounds of the grid do not hold."""
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 40 * side, (1500, 2))
    some = np.concatenate([low, low + rng.uniform(0.2, 1.5, (1500, 2)) * side], axis=1).astype(np.float32)
    scores = rng.permutation(1500)
    assert 0 < np.median(box_area(some)) < 1e-37
    assert nms(some, scores, 0.5).tolist() == slow_nms(some, scores, 0.5)


@pytest.mark.parametrize(("dtype", "threshold"), [(np.float32, 1 / 3), (np.float64, 1 / 3), (np.float32, 0.5)])
def test_an_iou_at_the_threshold_does_not_suppress(dtype: type, threshold: float) -> None:
    """1/3 in float32 is above 1/3 in float64: the threshold is not rounded up."""
    some: Array = np.array([[0, 0, 2, 1], [1, 0, 3, 1], [0, 0, 2, 2], [10, 0, 12, 1], [10, 0, 11, 1]], dtype)
    scores: Array = np.arange(len(some), 0, -1).astype(dtype)
    peer = torchvision.ops.nms(torch.from_numpy(some), torch.from_numpy(scores), threshold)
    assert nms(some, scores, threshold).tolist() == peer.tolist()
    assert nms(some, scores, np.nextafter(threshold, 0)).tolist() == slow_nms(some, scores, np.nextafter(threshold, 0))


def test_boxes_without_area_neither_suppress_nor_are_suppressed() -> None:
    some = np.array([[5, 5, 5, 5], [0, 0, 10, 10], [5, 5, 5, 5], [0, 3, 10, 3]])
    assert nms(some, [4, 3, 2, 1], 0).tolist() == [0, 1, 2, 3]


@pytest.mark.filterwarnings("ignore:overflow")  # where kernels are interpreted
def test_boxes_too_large_for_an_area_suppress_each_other() -> None:
    huge = np.array([[-3e38, -3e38, 3e38, 3e38], [-3e38, -3e38, 3e38, 2.9e38], [0, 0, 1, 1]], np.float32)
    assert nms(huge, [1, 2, 3], 0.5).tolist() == [2, 1]


@many
@given(scored(), THRESHOLDS, st.data())
def test_batched_nms_is_nms_of_each_class(pair: Scored, threshold: float, data: st.DataObject) -> None:
    some, scores = pair
    classes = np.array(data.draw(st.lists(st.integers(-2, 2), min_size=len(some), max_size=len(some))), np.int64)
    kept = [
        row
        for k in range(-2, 3)
        for row in np.flatnonzero(classes == k)[nms(some[classes == k], scores[classes == k], threshold)]
    ]
    expected = sorted(kept, key=lambda i: (-float(scores[i]), i))
    assert batched_nms(some, scores, classes, threshold).tolist() == expected


def test_many_boxes_of_many_classes_stay_as_in_torchvision() -> None:
    some, scores = clusters(8000, 2)
    classes = np.random.default_rng(0).integers(0, 5, len(some))
    classes[:5000] = 0  # one class large enough for the grid, between scans
    peer = torchvision.ops.batched_nms(*map(torch.from_numpy, (some, scores, classes)), 0.5)
    np.testing.assert_array_equal(batched_nms(some, scores, classes, 0.5), peer.numpy())


def test_classes_do_not_suppress_each_other_at_negative_coordinates() -> None:
    some = np.array([[-20, -20, -10, -10], [-20, -20, -10, -10]], np.float32)
    assert batched_nms(some, [0.9, 0.8], [0, 1], 0.5).tolist() == [0, 1]  # torchvision: [0]


def test_a_high_class_is_as_good_as_a_low_one() -> None:
    some = np.array([[0.1, 0.1, 0.6, 0.6], [0.1, 0.1, 0.6, 0.7], [900, 900, 1000, 1000]], np.float32)
    for label in (0, 5000, -(2**40)):
        assert batched_nms(some, [0.9, 0.8, 0.7], [label] * 3, 0.5).tolist() == [0, 2]


def test_classes_may_be_any_integers() -> None:
    some = np.tile([[0.0, 0, 10, 10]], (6, 1))
    classes = np.array([-(2**63), 2**63 - 1, 0, -(2**63), 2**63 - 1, 0])
    assert batched_nms(some, np.arange(6), classes, 0.5).tolist() == [5, 4, 3]
    assert batched_nms(some, np.arange(6), np.array([0, 255, 7, 0, 255, 7], np.uint8), 0.5).tolist() == [5, 4, 3]


def slow_soft_nms(some: Array, scores: Array, sigma: float, lowest: float) -> list[tuple[int, float]]:
    """Bodla et al. 2017, figure 2, with the Gaussian."""
    overlap = box_iou(some, some)
    left = {i: float(score) for i, score in enumerate(scores)}
    taken = []
    while left:
        best = max(left, key=lambda i: (left[i], -i))
        if left[best] <= lowest:
            break
        taken.append((best, left.pop(best)))
        left = {i: score * math.exp(-(float(overlap[best, i]) ** 2) / sigma) for i, score in left.items()}
    return taken


@many
@given(
    boxes(numbers=GRID, max_size=12), st.sampled_from([0.1, 0.5, 2.0]), st.sampled_from([0.0, 0.001, 0.3]), st.data()
)
def test_soft_nms_is_the_obvious_loop(some: Array, sigma: float, lowest: float, data: st.DataObject) -> None:
    scores = np.array(data.draw(st.lists(st.floats(0, 1), min_size=len(some), max_size=len(some))), np.float64)
    before = scores.copy()
    kept, lowered = soft_nms(some, scores, sigma, lowest)
    np.testing.assert_array_equal(scores, before)
    expected = slow_soft_nms(some, scores, sigma, lowest)
    np.testing.assert_allclose(lowered, [score for _, score in expected], rtol=1e-12)
    if len(np.unique(lowered)) == len(lowered):  # else rounding may order near ties either way
        assert kept.tolist() == [row for row, _ in expected]


def test_soft_nms_takes_equal_scores_by_index() -> None:
    kept, scores = soft_nms([[0, 0, 1, 1], [5, 5, 6, 6], [9, 9, 10, 10]], np.array([0.5, 0.5, 0.5], np.float32))
    assert kept.tolist() == [0, 1, 2]
    assert scores.dtype == np.float32


@pytest.mark.parametrize("sigma", [0.5, 1e-3, 1e-310])
def test_soft_nms_keeps_infinite_scores_and_the_boxes_far_from_them(sigma: float) -> None:
    """With a small sigma the factor is 0, and infinity times 0 would be NaN, after which nothing is taken."""
    some = [[0, 0, 10, 10], [0, 0, 10, 10], [50, 50, 60, 60], [0, 0, 10, 9], [80, 80, 90, 90]]
    kept, scores = soft_nms(some, [math.inf, math.inf, 0.5, 0.4, -math.inf], sigma)
    assert kept.tolist()[:3] == [0, 1, 2]
    assert scores.tolist()[:3] == [math.inf, math.inf, 0.5]
    assert 4 not in kept


@pytest.mark.parametrize("sigma", [0, -1, math.nan, math.inf])
def test_soft_nms_refuses_a_sigma_without_sense(sigma: float) -> None:
    with pytest.raises(ValueError, match="sigma must be positive"):
        soft_nms([[0, 0, 1, 1]], [1], sigma)


@pytest.mark.parametrize("suppress", [nms, lambda b, s, t: batched_nms(b, s, [0] * len(b), t)])
def test_wrong_scores_and_thresholds_are_refused(suppress: Any) -> None:
    some = [[0, 0, 1, 1], [0, 0, 2, 2]]
    with pytest.raises(ValueError, match=r"scores\[1\] is nan"):
        suppress(some, [1, math.nan], 0.5)
    with pytest.raises(ValueError, match=r"scores must have one value per box, shape \(2,\), got \(3,\)"):
        suppress(some, [1, 2, 3], 0.5)
    for threshold in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match="iou_threshold must be a number between 0 and 1"):
            suppress(some, [1, 2], threshold)
    with pytest.raises(ValueError, match=r"boxes\[1\] is \(3.0, 0.0, 2.0, 2.0\)"):
        suppress([[0, 0, 1, 1], [3, 0, 2, 2]], [1, 2], 0.5)


def test_classes_that_are_no_integers_are_refused() -> None:
    with pytest.raises(ValueError, match="idxs must be integers, got dtype float64"):
        batched_nms([[0, 0, 1, 1]], [1], [0.5], 0.5)
    with pytest.raises(ValueError, match=r"idxs must have one value per box, shape \(1,\), got \(2,\)"):
        batched_nms([[0, 0, 1, 1]], [1], [0, 1], 0.5)


@given(st.floats(0.5, 100), st.floats(0, 1), st.floats(0.02, 1))
def test_the_search_reaches_as_far_as_a_box_can_overlap_and_no_further(side: float, part: float, share: float) -> None:
    """Of all lengths another interval may have, the one whose center can be furthest away; a step of them is missed."""
    longest = side * share * (2 / share**2) ** part  # from the shortest that can be, to twice the longest
    others = np.linspace(0, longest, 4001)
    shared = share * np.maximum(side, others)  # the least that two boxes of that IoU share along an axis
    possible = np.minimum(side, others) >= shared
    furthest = ((side + others) / 2 - shared)[possible].max(initial=0)
    assert furthest - 1e-9 * side <= reach(side, longest, share) <= max(furthest, 0) + longest / 4000 + 1e-9 * side


def test_the_grid_is_for_areas_far_from_the_end_of_float32() -> None:
    sides = np.array([[0, 1, 1e-15, 1e-17], [3, 1, 1e-15, 1e-17]], np.float32)
    table = np.vstack([np.zeros((2, 4), np.float32), sides, sides.prod(axis=0)[None]])
    assert fits_grid(table, 0, 3)  # a box without area overlaps nothing
    assert not fits_grid(table, 0, 4)
    assert not fits_grid(table, 3, 4)
    assert fits_grid(table, 3, 3)
