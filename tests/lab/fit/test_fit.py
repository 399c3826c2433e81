"""The search for anchor shapes against slow, obvious twins."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from anchorloc.anchors import AnchorGenerator
from anchorloc.assign import ATSSAssigner, MaxIoUAssigner, best_anchors
from anchorloc.config import Config
from anchorloc.data import ShapesData
from anchorloc.lab.anchor_coverage import RECALL_IOUS, mean_recall
from anchorloc.lab.fit.box_offsets import BoxOffsets, collect_offsets
from anchorloc.lab.fit.level_limits import LevelSizeRange, ShapeBudget
from anchorloc.lab.fit.scoring import shape_similarity
from anchorloc.lab.fit.search import (
    ShapeSearch,
    ShapeSet,
    add_greedily,
    best_utility,
    prune,
    random_candidates,
    search_shapes,
    utility_curve,
)
from anchorloc.lab.fit.shared_scales import ScaleGrid, search_scales
from anchorloc.lab.network_views import NetworkViews

Floats = NDArray[np.float64]
STRIDES = (8, 16, 32)


def boxes_at(sizes: Floats, seed: int = 0, strides: tuple[int, ...] = STRIDES) -> BoxOffsets:
    """Boxes at random places, none near a border, each in an image of its own."""
    random = np.random.default_rng(seed)
    offset = np.stack([random.uniform(0, stride / 2, (len(sizes), 2)) for stride in strides]).astype(np.float32)
    places = np.arange(len(sizes))
    cells = np.array([(512 / stride) ** 2 for stride in strides])
    return BoxOffsets(sizes.astype(np.float32), offset, places, np.zeros_like(places), cells)


def search_of(boxes: BoxOffsets, most: int = 2, strides: tuple[int, ...] = STRIDES) -> ShapeSearch:
    budget = ShapeBudget(boxes.cells, np.full(len(strides), most))
    return ShapeSearch(
        boxes, np.ones(len(boxes), np.float32), utility_curve(ATSSAssigner()), LevelSizeRange(strides), budget
    )


def random_sizes(seed: int, count: int) -> Floats:
    return np.exp(np.random.default_rng(seed).uniform(np.log(8), np.log(300), (count, 2)))


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.sampled_from([(64, 96), (97, 61), (256, 40)]))
def test_the_iou_of_the_search_is_that_of_the_best_anchor_of_the_grid(seed: int, size: tuple[int, int]) -> None:
    random = np.random.default_rng(seed)
    anchors = AnchorGenerator(STRIDES, shapes=tuple(((w, h),) for w, h in random.uniform(4, 90, (3, 2)).tolist()))
    config = replace(Config(), data=ShapesData(train_images=3, size=96), anchors=anchors)
    views = NetworkViews(config, config.data.open("train"), epochs=seed % 2)
    iou = [best_anchors(view.grid, view.target.boxes)[0] for view in views]
    shapes = ShapeSet.from_levels(anchors.level_shapes)
    boxes = collect_offsets(views)
    np.testing.assert_allclose(boxes.best_iou(shapes.levels, shapes.shapes), np.concatenate(iou), atol=2e-5)
    assert boxes.cells.tolist() == np.mean([[len(level) for level in view.grid.levels] for view in views], 0).tolist()


@given(st.integers(0, 10_000))
def test_utility_is_the_mean_of_the_best_shape_of_each_box(seed: int) -> None:
    search = search_of(boxes_at(random_sizes(seed, 20), seed))
    shapes = random_candidates(search, np.random.default_rng(seed))
    shapes = ShapeSet(shapes.levels[::97], shapes.shapes[::97])
    iou = search.boxes.best_iou(shapes.levels, shapes.shapes)
    expected = np.mean([search.utility_of_iou[round(float(value) * (len(search.utility_of_iou) - 1))] for value in iou])
    assert search.utility(best_utility(search.table(shapes))) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("seed", range(4))
def test_greedy_choice_is_near_the_best_of_all_choices(seed: int) -> None:
    """The bound is 1 - 1/e for one level (Nemhauser, Wolsey and Fisher, 1978); in practice it is far better."""
    boxes = boxes_at(random_sizes(seed, 60), seed, (8,))
    search = search_of(boxes, 3, (8,))
    pool = random_candidates(search, np.random.default_rng(seed))
    pool = ShapeSet(pool.levels[:20], pool.shapes[:20])
    table = search.table(pool)
    nothing = ShapeSet(np.zeros(0, np.int64), np.zeros((0, 2)))
    shapes, best = add_greedily(search, nothing, np.zeros(len(boxes), np.float32), pool, table)
    utilities = [
        search.utility(best_utility(np.ascontiguousarray(table[:, trio]))) for trio in combinations(range(20), 3)
    ]
    assert len(shapes) == 3
    assert (1 - 1 / np.e) * max(utilities) <= search.utility(best) <= max(utilities) + 1e-6
    assert search.utility(best_utility(search.table(search_shapes(search, np.random.default_rng(seed))))) >= 0.98 * max(
        utilities
    )


def test_planted_shapes_are_found() -> None:
    planted = np.array([(20, 24), (60, 40), (150, 220)])
    noise = np.exp(0.03 * np.random.default_rng(0).standard_normal((600, 2)))
    search = search_of(boxes_at(np.repeat(planted, 200, axis=0) * noise), 1)
    found = search_shapes(search, np.random.default_rng(0))
    assert sorted(found.levels.tolist()) == [0, 1, 2]
    expected = ShapeSet(np.arange(3), planted.astype(np.float64))
    assert shape_similarity(expected, found).min() > 0.9


def test_a_shape_that_two_levels_want_goes_where_the_whole_gains_most() -> None:
    """Greedy choice puts the frequent size on the finest level, and the small one is lost."""
    sizes = np.concatenate([np.tile([(60.0, 60.0)], (120, 1)), np.tile([(14.0, 14.0)], (140, 1))])
    search = search_of(boxes_at(sizes, strides=(8, 16)), 1, (8, 16))
    found = search_shapes(search, np.random.default_rng(0))
    widths = found.shapes[np.argsort(found.levels), 0]
    assert widths == pytest.approx([14, 60], rel=0.1)


def test_planted_scales_and_ratios_are_found() -> None:
    planted = ScaleGrid(np.array([3.0, 4.5]), np.array([0.5, 1.6]))
    shapes = planted.shapes(STRIDES)
    boxes = boxes_at(np.repeat(shapes.shapes, 60, axis=0))
    boxes = replace(boxes, offset=np.zeros_like(boxes.offset))
    search = search_of(boxes, 4)
    found = max((search_scales(search, np.random.default_rng(run)) for run in range(3)),
                key=lambda grid: search.utility(best_utility(search.table(grid.shapes(STRIDES)))))  # fmt: skip
    utility = search.utility(best_utility(search.table(shapes)))
    assert search.utility(best_utility(search.table(found.shapes(STRIDES)))) > 0.97 * utility


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(1, 40), st.booleans())
def test_every_level_keeps_its_size_range_and_its_budget(seed: int, most: int, count: int, limited: bool) -> None:
    boxes = boxes_at(random_sizes(seed, count), seed)
    search = search_of(boxes, most)
    if limited:
        budget = ShapeBudget(boxes.cells, np.full(3, count), most * float(boxes.cells.sum()))
        search = replace(search, budget=budget)
    found = search_shapes(search, np.random.default_rng(seed))
    counts = np.bincount(found.levels, minlength=3)
    assert (counts >= 1).all()
    assert (counts <= search.budget.max_shapes).all()
    assert counts @ boxes.cells <= search.budget.max_anchors
    for level, shape in zip(found.levels, found.shapes, strict=True):
        low, high = search.sizes.of_level(level)
        assert low * (1 - 1e-9) <= np.sqrt(shape.prod()) <= high * (1 + 1e-9)


def test_the_finest_and_the_coarsest_level_are_open_at_one_end() -> None:
    sizes = LevelSizeRange((32, 8, 16))
    assert [sizes.of_level(level) for level in range(3)] == [(64, np.inf), (0, 64), (32, 128)]
    assert LevelSizeRange((16,)).of_level(0) == (0, np.inf)
    np.testing.assert_allclose(sizes.clip(2, np.array([[8.0, 2.0], [50, 60], [400, 100]])),
                               [[64, 16], [50, 60], [256, 64]])  # fmt: skip


def test_the_same_seed_gives_the_same_shapes() -> None:
    search = search_of(boxes_at(random_sizes(1, 200)))
    one, same, other = (search_shapes(search, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert one.per_level(3) == same.per_level(3) != other.per_level(3)


def test_a_shape_that_adds_nothing_is_left_out() -> None:
    search = search_of(boxes_at(np.tile([(40.0, 40.0)], (50, 1))))
    shapes = ShapeSet(np.array([0, 0, 1, 1, 2]), np.array([[40.0, 40], [1, 1], [40, 40], [40, 40], [64, 64]]))
    kept = prune(search, shapes)
    assert (kept.levels == 2).sum() == 1
    assert [1.0, 1.0] not in kept.shapes.tolist()
    assert len(kept) < len(shapes)


def test_the_curve_rises_with_the_thresholds_passed() -> None:
    curve = utility_curve(ATSSAssigner())
    assert (np.diff(curve) > 0).all()
    iou = np.random.default_rng(0).uniform(0, 1, 20_000).astype(np.float32)
    steep = curve - 0.05 * np.linspace(0, 1, len(curve))  # without the slope it is the mean recall, smoothed
    assert steep[np.rint(iou * (len(curve) - 1)).astype(int)].mean() == pytest.approx(mean_recall(iou), abs=2e-3)


def test_the_threshold_of_the_assigner_counts() -> None:
    assert 0.5 in RECALL_IOUS
    np.testing.assert_array_equal(utility_curve(MaxIoUAssigner(0.5)), utility_curve(ATSSAssigner()))
    loose = utility_curve(MaxIoUAssigner(0.3, 0.3))
    at = len(loose) * 4 // 10
    assert loose[at] > utility_curve(ATSSAssigner())[at] + 0.08
