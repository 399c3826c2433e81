"""The overlap of boxes: laws, exact twins, and peers on their valid domain."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pycocotools.mask
import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from anchorloc.boxes import (
    best_overlap,
    box_area,
    box_ioa,
    box_iou,
    box_iou_crowd,
    complete_box_iou,
    distance_box_iou,
    generalized_box_iou,
    overlap_kernels,
    paired_box_iou,
)
from anchorloc.boxes.tables import box_tables
from tests.boxes.box_strategies import FLOATS, GRID, boxes, coordinates, finite, many, two_sets, whole

Array = NDArray[Any]
PAIRWISE: list[Callable[..., Array]] = [box_iou, generalized_box_iou, distance_box_iou, complete_box_iou, box_ioa]


def exact_terms(a: Array, b: Array) -> dict[str, Fraction]:
    """The measures of one pair in rational arithmetic, by their definitions."""
    ax1, ay1, ax2, ay2 = map(Fraction, a.tolist())
    bx1, by1, bx2, by2 = map(Fraction, b.tolist())
    inter = max(min(ax2, bx2) - max(ax1, bx1), Fraction()) * max(min(ay2, by2) - max(ay1, by1), Fraction())
    own, other = (ax2 - ax1) * (ay2 - ay1), (bx2 - bx1) * (by2 - by1)
    union = own + other - inter
    width, height = max(ax2, bx2) - min(ax1, bx1), max(ay2, by2) - min(ay1, by1)
    distance = ((ax1 + ax2 - bx1 - bx2) ** 2 + (ay1 + ay2 - by1 - by2) ** 2) / 4
    iou = inter / union if union else Fraction()
    return {
        "iou": iou,
        "giou": iou - ((width * height - union) / (width * height) if width * height else 0),
        "diou": iou - distance / (width**2 + height**2 + Fraction(1e-7)),
        "ioa": inter / own if own else Fraction(),
    }


def exact_ciou(a: Array, b: Array) -> float:
    """CIoU in extended precision; atan2(w, h) is atan(w / h) where that exists."""
    terms = exact_terms(a, b)
    wide = np.longdouble
    aw, ah, bw, bh = (wide(high) - wide(low) for some in (a, b) for low, high in zip(some[:2], some[2:], strict=True))
    v = 4 / wide(np.pi) ** 2 * (np.arctan2(aw, ah) - np.arctan2(bw, bh)) ** 2
    alpha = v / (1 - wide(float(terms["iou"])) + v + wide(1e-7))
    return float(wide(float(terms["diou"])) - alpha * v)


@many
@given(two_sets())
def test_the_measures_are_exact_to_rounding(sets: tuple[Array, Array]) -> None:
    first, second = sets
    tolerance = 2e-6 if first.dtype == np.float32 else 4e-15
    found = [measure(first, second) for measure in (box_iou, generalized_box_iou, distance_box_iou, box_ioa)]
    assert all(matrix.dtype == first.dtype for matrix in found)
    for i, a in enumerate(first):
        for j, b in enumerate(second):
            exact = [float(term) for term in exact_terms(a, b).values()]
            assert [matrix[i, j] for matrix in found] == pytest.approx(exact, abs=tolerance)


def sixteenths(drawn: Array, dtype: Any) -> Array:
    """Up to 1e4, as often as not on the grid."""
    return np.where(drawn["kind"] & 1, whole(160_000)(drawn, dtype) / np.asarray(16, dtype), GRID(drawn, dtype))


@many
@given(two_sets(sixteenths))
def test_ciou_is_exact_to_rounding(sets: tuple[Array, Array]) -> None:
    first, second = sets
    tolerance = 2e-5 if first.dtype == np.float32 else 1e-9
    found = complete_box_iou(first, second)
    exact = [[exact_ciou(a, b) for b in second] for a in first]
    np.testing.assert_allclose(found, np.reshape(exact, found.shape), rtol=0, atol=tolerance)


def wide_twins(first: Array, second: Array) -> dict[Callable[..., Array], Array]:
    """All pairs in extended precision, measure by measure."""
    a, b = first.astype(np.longdouble)[:, None], second.astype(np.longdouble)[None]
    sides, hull = (
        np.minimum(a, b)[..., 2:] - np.maximum(a, b)[..., :2],
        np.maximum(a, b)[..., 2:] - np.minimum(a, b)[..., :2],
    )
    inter, own = np.maximum(sides, 0).prod(axis=-1), (a[..., 2:] - a[..., :2]).prod(axis=-1)
    union = own + (b[..., 2:] - b[..., :2]).prod(axis=-1) - inter
    apart = ((a[..., :2] + a[..., 2:] - b[..., :2] - b[..., 2:]) / 2) ** 2
    angles = [np.arctan((some[..., 2] - some[..., 0]) / (some[..., 3] - some[..., 1])) for some in (a, b)]
    v = 4 / np.pi**2 * (angles[0] - angles[1]) ** 2
    iou = inter / union
    diou = iou - apart.sum(axis=-1) / ((hull**2).sum(axis=-1) + 1e-7)
    return {
        box_iou: iou,
        generalized_box_iou: iou - (hull.prod(axis=-1) - union) / hull.prod(axis=-1),
        distance_box_iou: diou,
        complete_box_iou: diou - v**2 / (1 - iou + v + 1e-7),
    }


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 2e-6), (np.float64, 4e-15)])
def test_a_million_hard_pairs_are_exact_to_rounding(dtype: type, tolerance: float) -> None:
    """Boxes of 1e-3 to 1e6 px, most near another one of their size, up to 1e9 px from the origin."""
    rng = np.random.default_rng(0)
    low = rng.choice([0, 1e3, 1e6, 1e9], (1000, 1)) + rng.uniform(-1, 1, (1000, 2)) * 10 ** rng.uniform(
        -3, 6, (1000, 1)
    )
    some = np.concatenate([low, low + 10 ** rng.uniform(-3, 6, (1000, 2))], axis=1)
    near = some + rng.normal(0, 0.2, some.shape) * np.tile(some[:, 2:] - some[:, :2], 2)
    sets: list[Array] = [np.sort(part.reshape(-1, 2, 2), axis=1).reshape(-1, 4).astype(dtype) for part in (some, near)]
    first, second = (part[box_area(part) > 0] for part in sets)
    for measure, expected in wide_twins(first, second).items():
        assert np.abs(measure(first, second) - expected).max() < tolerance, measure.__name__


@many
@given(two_sets())
def test_iou_is_symmetric_and_in_bounds(sets: tuple[Array, Array]) -> None:
    first, second = sets
    iou = box_iou(first, second)
    np.testing.assert_array_equal(iou, box_iou(second, first).T)
    np.testing.assert_array_equal(generalized_box_iou(first, second), generalized_box_iou(second, first).T)
    assert ((iou >= 0) & (iou <= 1)).all()
    assert (generalized_box_iou(first, second) >= -1).all()


@many
@given(FLOATS.flatmap(boxes))
def test_a_box_with_area_has_iou_1_with_itself_and_one_without_0(some: Array) -> None:
    np.testing.assert_array_equal(np.diag(box_iou(some, some)), (box_area(some) > 0).astype(some.dtype))
    np.testing.assert_array_equal(np.diag(box_ioa(some, some)), (box_area(some) > 0).astype(some.dtype))


@many
@given(two_sets())
def test_the_penalties_only_lower(sets: tuple[Array, Array]) -> None:
    iou, giou, diou, ciou = (measure(*sets) for measure in PAIRWISE[:4])
    assert (giou <= iou).all()
    assert (diou <= iou).all()
    assert (ciou <= diou).all()


@many
@given(two_sets(GRID), st.integers(-1000, 1000), st.integers(-1000, 1000))
def test_iou_and_giou_do_not_change_under_translation(sets: tuple[Array, Array], dx: int, dy: int) -> None:
    first, second = sets
    by = np.array([dx, dy, dx, dy], first.dtype)
    for measure in (box_iou, generalized_box_iou, distance_box_iou, complete_box_iou, box_ioa):
        np.testing.assert_array_equal(measure(first, second), measure(first + by, second + by))


@many
@given(two_sets(), st.integers(-8, 8))
def test_iou_and_giou_do_not_change_under_scaling_by_powers_of_two(sets: tuple[Array, Array], power: int) -> None:
    first, second = sets
    for measure in (box_iou, generalized_box_iou, box_ioa):
        scaled = measure(np.ldexp(first, power), np.ldexp(second, power))
        np.testing.assert_array_equal(measure(first, second), scaled)


@many
@given(two_sets(finite))
def test_no_finite_boxes_make_nan(sets: tuple[Array, Array]) -> None:
    first, second = sets
    with np.errstate(over="ignore", under="ignore"):  # where kernels are interpreted
        results = [measure(first, second) for measure in PAIRWISE]
        results += [box_iou_crowd(first, second, np.arange(len(second)) % 2)]
        results += [best_overlap(first, second)[1], paired_box_iou(first, first)]
    for result in results:
        assert np.isfinite(result).all()


@pytest.mark.filterwarnings("ignore:overflow")  # where kernels are interpreted
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_areas_too_large_for_the_type_are_no_obstacle(dtype: type) -> None:
    most = 2.0 ** (np.finfo(dtype).maxexp - 1)
    one: Array = np.array([[-most, -most, most, most]], dtype)
    half: Array = np.array([[-most, -most, 0, most]], dtype)
    assert box_iou(one, one) == [[1]]
    assert box_iou(one, half) == [[0.5]]
    assert box_iou(half, one) == [[0.5]]
    assert paired_box_iou(one, half) == [0.5]
    assert best_overlap(one, half)[1] == [0.5]
    assert generalized_box_iou(one, half) == [[0.5]]
    assert complete_box_iou(half, half) == [[1]]


@many
@given(two_sets(coordinates(1e4)))
def test_iou_is_bit_equal_to_torchvision(sets: tuple[Array, Array]) -> None:
    first, second = (some[box_area(some) > 0] for some in sets)
    peer = torchvision.ops.box_iou(torch.from_numpy(first), torch.from_numpy(second))
    np.testing.assert_array_equal(box_iou(first, second), peer.numpy())


@many
@given(two_sets(whole(100)))
def test_the_other_measures_agree_with_torchvision(sets: tuple[Array, Array]) -> None:
    first, second = (some[box_area(some) > 0] for some in sets)
    tolerance = 1e-5 if first.dtype == np.float32 else 1e-12
    for measure in (generalized_box_iou, distance_box_iou, complete_box_iou):
        peer = getattr(torchvision.ops, measure.__name__)(torch.from_numpy(first), torch.from_numpy(second))
        np.testing.assert_allclose(measure(first, second), peer.numpy(), rtol=0, atol=tolerance)


def test_eps_is_the_third_argument_as_in_torchvision() -> None:
    first, second = np.array([[0, 0, 2, 1.0]]), np.array([[1, 0, 2, 2.0]])
    for measure in (distance_box_iou, complete_box_iou):
        peer = getattr(torchvision.ops, measure.__name__)(torch.from_numpy(first), torch.from_numpy(second), 0.5)
        np.testing.assert_allclose(measure(first, second, 0.5), peer.numpy(), rtol=1e-12)


@many
@given(boxes(numbers=GRID), boxes(numbers=GRID), st.data())
def test_the_crowd_overlap_is_that_of_pycocotools(detections: Array, truths: Array, data: st.DataObject) -> None:
    detections, truths = (some[box_area(some) > 0] for some in (detections, truths))
    crowd = data.draw(st.lists(st.booleans(), min_size=len(truths), max_size=len(truths)))
    found = box_iou_crowd(detections, truths, crowd)
    if len(detections) and len(truths):
        xywh = [np.concatenate([some[:, :2], some[:, 2:] - some[:, :2]], axis=1) for some in (detections, truths)]
        np.testing.assert_array_equal(found, pycocotools.mask.iou(*xywh, crowd))
    else:
        assert found.shape == (len(detections), len(truths))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rows", [1, 2, 5, 8])
@pytest.mark.parametrize("flat", [(), (0,), (1,), (4,), (0, 1), (2, 3, 4)])
def test_long_rows_are_filled_two_at_a_time_with_the_same_bits(dtype: Any, rows: int, flat: tuple[int, ...]) -> None:
    random = np.random.default_rng(rows)
    first, second = (
        np.concatenate([corners, corners + random.uniform(1, 60, corners.shape)], axis=1).astype(dtype)
        for corners in (random.uniform(0, 100, (rows, 2)), random.uniform(0, 100, (1003, 2)))
    )
    for row in flat:
        first[row % rows, 2:] = first[row % rows, :2]
    found = box_iou(first, second)
    expected = torchvision.ops.box_iou(torch.from_numpy(first), torch.from_numpy(second)).numpy()
    np.testing.assert_array_equal(found, np.nan_to_num(expected))
    np.testing.assert_array_equal(found, np.concatenate([box_iou(first, part) for part in np.split(second, [500])], 1))


@settings(max_examples=200)  # each starts threads
@given(two_sets(), st.integers(1, 7))
def test_out_and_threads_change_nothing(sets: tuple[Array, Array], threads: int) -> None:
    first, second = sets
    for measure in PAIRWISE:
        out = np.full((len(first), len(second)), np.nan, first.dtype)
        assert measure(first, second, out=out, threads=threads) is out
        np.testing.assert_array_equal(out, measure(first, second))
    for found, expected in zip(best_overlap(first, second, threads), best_overlap(first, second), strict=True):
        np.testing.assert_array_equal(found, expected)


@given(st.integers(1, 40), st.integers(0, 6), st.integers(0, 6), FLOATS)
def test_a_part_of_the_rows_writes_no_others(columns: int, start: int, stop: int, dtype: Any) -> None:
    """A short row of whole vectors spills into the next one, which must belong to the same part."""
    rng = np.random.default_rng(columns)
    corners, sides = rng.uniform(0, 50, (6 + columns, 2)), rng.exponential(30, (6 + columns, 2))
    sides[2] = 0  # a box without area
    rows = np.concatenate([corners, corners + sides], axis=1).astype(dtype)
    first, second = rows[:6], rows[6:]
    out = np.full((6, columns), 7, dtype)
    overlap_kernels.box_iou(*box_tables(first, second), out, dtype(0), start, stop)
    expected = np.full((6, columns), 7, dtype)
    part = first[start:stop]
    pairs = paired_box_iou(part.repeat(columns, axis=0), np.tile(second, (len(part), 1)))
    expected[start:stop] = pairs.reshape(len(part), columns)
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize(
    "out",
    [
        np.empty((2, 3)),
        np.empty((3, 2), np.float32),
        np.empty((2, 3)).T,
        np.empty((3, 4))[:, ::2],
        np.lib.stride_tricks.as_strided(np.empty((3, 2)), writeable=False),
    ],
)
def test_an_out_that_does_not_fit_is_refused(out: Array) -> None:
    with pytest.raises(ValueError, match=r"out must be a writable C-contiguous float64 array of shape \(3, 2\)"):
        box_iou(np.zeros((3, 4)), np.zeros((2, 4)), out=out)


@pytest.mark.parametrize("measure", [*PAIRWISE, best_overlap])
def test_no_threads_are_refused(measure: Callable[..., object]) -> None:
    with pytest.raises(ValueError, match="threads must be a whole number of at least 1, got 0"):
        measure(np.zeros((3, 4)), np.zeros((2, 4)), threads=0)


@many
@given(two_sets())
def test_paired_iou_is_the_diagonal(sets: tuple[Array, Array]) -> None:
    count = min(map(len, sets))
    first, second = (some[:count] for some in sets)
    np.testing.assert_array_equal(paired_box_iou(first, second), np.diag(box_iou(first, second)))


@many
@given(FLOATS.flatmap(lambda dtype: st.tuples(boxes(dtype), boxes(dtype, max_size=40))))
def test_the_best_overlap_is_that_of_the_matrix(sets: tuple[Array, Array]) -> None:
    first, second = sets
    index, best = best_overlap(first, second)
    matrix = np.concatenate([np.zeros((len(first), 1), first.dtype), box_iou(first, second)], axis=1)
    np.testing.assert_array_equal(best, matrix.max(axis=1))
    np.testing.assert_array_equal(index, matrix.argmax(axis=1) - 1)


@pytest.mark.parametrize("first", [0, 1, 14, 15, 16, 40])
def test_the_lowest_row_wins_a_tie_for_the_best_overlap(first: int) -> None:
    others = np.tile([[100.0, 100, 101, 101]], (50, 1))
    others[[first, first + 1, 48]] = [0, 0, 10, 10]
    index, best = best_overlap([[0, 0, 10, 5]], others)
    assert (index.tolist(), best.tolist()) == ([first], [0.5])


def test_the_best_overlap_makes_no_matrix() -> None:
    some = np.random.default_rng(0).uniform(0, 1000, (3000, 4)).astype(np.float32)
    some[:, 2:] += some[:, :2]
    best_overlap(some[:1], some[:1])  # compile first
    tracemalloc.start()
    index, best = best_overlap(some, some)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * some.nbytes  # the matrix would be 750 times the boxes
    np.testing.assert_array_equal(index, np.arange(len(some)))
    np.testing.assert_array_equal(best, np.ones(len(some), np.float32))
