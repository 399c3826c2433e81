"""Search shapes for every level, each independent of the others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from anchorloc.assign import Assigner, MaxIoUAssigner
from anchorloc.detector import TaskAlignedAssigner
from anchorloc.lab.anchor_coverage import RECALL_IOUS
from anchorloc.lab.fit.box_offsets import BoxOffsets
from anchorloc.lab.fit.kernels import fill_best, fill_gains, fill_utility, gain
from anchorloc.lab.fit.level_limits import LevelSizeRange, ShapeBudget
from anchorloc.structures import Float32Array, Float64Array, IntArray

RAMP = 0.05  # IoU; smooths each threshold, so that the fit is stable with few boxes
SLOPE = 0.05  # least slope of the curve: a box below all thresholds still prefers the nearer shape
CURVE_STEPS = 2000
CANDIDATES = 160  # per level; each restart draws its own
JITTER = 0.1  # standard deviation of the logarithm of the candidates' sides
STEPS = (0.2, 0.1, 0.05, 0.025)  # steps of the logarithm of a side, in refinement
MAX_ROUNDS = 4  # rounds of exchange, swap and refinement
MIN_GAIN = 1e-4  # minimum gain in mean utility to keep a shape or start another round
SWAPS = 24  # tried in each round
MIN_MOVE = 1e-6  # mean utility that a move must add; else rounding errors could move a shape forever
MOVES = np.array([(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, -1), (1, -1), (-1, 1)], np.float64)

LevelShapeLists = tuple[tuple[tuple[float, float], ...], ...]  # (width, height) by level


@dataclass(frozen=True, eq=False)
class ShapeSet:
    """S anchor shapes, each with its level."""

    levels: IntArray  # (S,)
    shapes: Float64Array  # (S, 2) width, height in network pixels

    @classmethod
    def from_levels(cls, levels: LevelShapeLists) -> ShapeSet:
        """Return the inverse of `per_level`."""
        counts = [len(shapes) for shapes in levels]
        flat = [shape for shapes in levels for shape in shapes]
        return cls(np.repeat(np.arange(len(levels)), counts), np.array(flat, np.float64).reshape(-1, 2))

    def __len__(self) -> int:
        return len(self.levels)

    def plus(self, level: int, shape: Float64Array) -> ShapeSet:
        """Return the set with one more shape."""
        return ShapeSet(np.append(self.levels, level), np.vstack([self.shapes, shape]))

    def minus(self, place: int | list[int]) -> ShapeSet:
        """Return the set without one shape, or several."""
        return ShapeSet(np.delete(self.levels, place), np.delete(self.shapes, place, axis=0))

    def per_level(self, count: int) -> LevelShapeLists:
        """Return the shapes by level and area as `AnchorGenerator` takes them, rounded to a tenth of a pixel."""
        order = np.argsort(self.shapes.prod(axis=1), kind="stable")
        rounded = [(int(self.levels[s]), max(0.1, round(w, 1)), max(0.1, round(h, 1)))
                   for s in order for w, h in [self.shapes[s].tolist()]]  # fmt: skip
        return tuple(tuple((w, h) for level, w, h in rounded if level == wanted) for wanted in range(count))


def utility_curve(assigner: Assigner | TaskAlignedAssigner) -> Float32Array:
    """Return the utility of IoU from 0 to 1, in equal steps: it rises with the share of RECALL_IOUS reached.

    The threshold of a max-IoU assigner is one of them, even outside their range.
    """
    thresholds = set(RECALL_IOUS)
    if isinstance(assigner, MaxIoUAssigner):
        thresholds.add(assigner.positive_iou)
    iou = np.linspace(0, 1, CURVE_STEPS + 1)
    ramps = [np.clip((iou - threshold) / RAMP + 0.5, 0, 1) for threshold in thresholds]
    return np.asarray(np.mean(ramps, axis=0) + SLOPE * iou, np.float32)


@dataclass(frozen=True, eq=False)
class ShapeSearch:
    """The objective and the constraints of a search for anchor shapes.

    The utility of a set of shapes is the mean over boxes of the greatest utility that any of its shapes has for the
    box. This is a monotone submodular function of the set, for which greedy choice is near the optimum.
    """

    boxes: BoxOffsets
    weights: Float32Array  # (N,) weight of each box
    utility_of_iou: Float32Array  # `utility_curve`
    sizes: LevelSizeRange
    budget: ShapeBudget

    @cached_property
    def total(self) -> float:
        """Return the sum of all weights."""
        return float(self.weights.sum(dtype=np.float64))

    def table(self, shapes: ShapeSet) -> Float32Array:
        """Return the utility (N, S) of every shape to every box."""
        table = np.empty((len(self.boxes), len(shapes)), np.float32)
        fill_utility(shapes.levels, shapes.shapes, self.boxes.sizes, self.boxes.offset, self.utility_of_iou, table)
        return table

    def utility(self, best: Float32Array) -> float:
        """Return the utility of a set of shapes that gives `best` (N,) to each box."""
        return float(best.astype(np.float64) @ self.weights) / self.total

    def gains(self, table: Float32Array, best: Float32Array) -> Float64Array:
        """Return the utility (C,) that each column of `table` (N, C) adds to `best` (N,)."""
        out = np.empty(table.shape[1])
        fill_gains(table, best, self.weights, out)
        return out / self.total

    def best_neighbor(self, level: int, shape: Float64Array, step: float, best: Float32Array) -> Float64Array:
        """Return the neighbor of a shape that adds most to `best` (N,); the shape itself if none adds more."""
        boxes = self.boxes
        tried = np.vstack([shape, self.sizes.clip(level, shape * np.exp(step * MOVES))])
        gains = [
            gain(width, height, boxes.sizes, boxes.offset[level], self.utility_of_iou, best, self.weights)
            for width, height in tried
        ]
        chosen = int(np.argmax(gains))
        return np.asarray(tried[chosen] if gains[chosen] - gains[0] > MIN_MOVE * self.total else shape)


def search_shapes(search: ShapeSearch, random: np.random.Generator) -> ShapeSet:
    """Choose shapes greedily from random candidates, then alternate exchanges, swaps of levels and local moves."""
    pool = random_candidates(search, random)
    table = search.table(pool)
    nothing = ShapeSet(np.zeros(0, np.int64), np.zeros((0, 2)))
    shapes, best = add_greedily(search, nothing, np.zeros(len(search.boxes), np.float32), pool, table)
    shapes, utility = refine(search, shapes), search.utility(best)
    for _ in range(MAX_ROUNDS):
        shapes = swap_levels(search, exchange(search, shapes, pool, table), pool, table, random)
        shapes = refine(search, shapes)
        before, utility = utility, search.utility(best_utility(search.table(shapes)))
        if utility - before < MIN_GAIN:
            break
    return prune(search, shapes)


def best_utility(table: Float32Array, without: int = -1) -> Float32Array:
    """Return the greatest of each row of `table` (N, S), at least 0, ignoring the column `without`."""
    best = np.empty(len(table), np.float32)
    fill_best(table, without, best)
    return best


def random_candidates(search: ShapeSearch, random: np.random.Generator) -> ShapeSet:
    """Return for every level shapes of random boxes with jitter, clipped to the sizes that the level serves."""
    levels = len(search.budget.cells)
    chance = search.weights.astype(np.float64) / search.total
    drawn = [random.choice(len(chance), CANDIDATES, p=chance) for _ in range(levels)]
    sizes = search.boxes.sizes.astype(np.float64)
    moved = [sizes[rows] * np.exp(JITTER * random.standard_normal((CANDIDATES, 2))) for rows in drawn]
    shapes = [search.sizes.clip(level, shapes) for level, shapes in enumerate(moved)]
    return ShapeSet(np.repeat(np.arange(levels), CANDIDATES), np.concatenate(shapes))


def add_greedily(
    search: ShapeSearch, shapes: ShapeSet, best: Float32Array, pool: ShapeSet, table: Float32Array
) -> tuple[ShapeSet, Float32Array]:
    """Add shapes of the pool, each time the one with most gain per cost, while the budget allows and one gains.

    A level that is then empty gets the shape with the greatest utility of its own.

    Args:
        best: (N,) utility that `shapes` give to each box.
        table: (N, C) utility of the pool.

    Returns:
        The shapes, and their `best`.
    """
    while (allowed := search.budget.open_levels(shapes.levels)[pool.levels]).any():
        gains = np.where(allowed, search.gains(table, best), 0)
        chosen = int(np.argmax(gains / search.budget.cost[pool.levels]))
        if gains[chosen] < MIN_GAIN:
            break
        shapes = shapes.plus(int(pool.levels[chosen]), pool.shapes[chosen])
        best = np.maximum(best, table[:, chosen])
    for level in np.setdiff1d(np.arange(len(search.budget.cells)), shapes.levels):
        alone = np.where(pool.levels == level, search.weights @ table, -1)
        chosen = int(np.argmax(alone))
        shapes = shapes.plus(int(level), pool.shapes[chosen])
        best = np.maximum(best, table[:, chosen])
    return shapes, best


def exchange(search: ShapeSearch, shapes: ShapeSet, pool: ShapeSet, table: Float32Array) -> ShapeSet:
    """Replace each shape in turn by shapes of the pool, where that raises the utility."""
    own = search.table(shapes)
    utility = search.utility(best_utility(own))
    place = 0
    for _ in range(len(shapes)):
        other, best = add_greedily(search, shapes.minus(place), best_utility(own, place), pool, table)
        if (better := search.utility(best)) > utility:
            shapes, utility, own = other, better, search.table(other)
        else:
            place += 1
    return shapes


def swap_levels(
    search: ShapeSearch, shapes: ShapeSet, pool: ShapeSet, table: Float32Array, random: np.random.Generator
) -> ShapeSet:
    """Move random shapes to other levels in place of shapes there, and refill, where that raises the utility.

    This undoes a greedy choice that took a place on a fine level which another size needs more.
    """
    utility = search.utility(best_utility(search.table(shapes)))
    for _ in range(SWAPS if len(shapes) > 1 else 0):
        one, other = random.choice(len(shapes), 2, replace=False).tolist()
        level = int(shapes.levels[other])
        if level == shapes.levels[one]:
            continue
        moved = search.sizes.clip(level, shapes.shapes[[one]])[0]
        rest = shapes.minus([one, other]).plus(level, moved)
        tried, best = add_greedily(search, rest, best_utility(search.table(rest)), pool, table)
        if (better := search.utility(best)) > utility:
            shapes, utility = tried, better
    return shapes


def refine(search: ShapeSearch, shapes: ShapeSet) -> ShapeSet:
    """Move each shape in turn by smaller and smaller steps, while the utility rises."""
    sizes = shapes.shapes.copy()
    table = search.table(shapes)
    for step in STEPS:
        for place, level in enumerate(shapes.levels.tolist()):
            best = best_utility(table, place)
            moved = search.best_neighbor(level, sizes[place], step, best)
            while (moved != sizes[place]).any():
                sizes[place] = moved
                moved = search.best_neighbor(level, moved, step, best)
            one = ShapeSet(shapes.levels[place : place + 1], sizes[place : place + 1])
            table[:, place] = search.table(one)[:, 0]
    return replace(shapes, shapes=sizes)


def prune(search: ShapeSearch, shapes: ShapeSet) -> ShapeSet:
    """Remove, one after the other, the shapes that add almost nothing; every level keeps one."""
    table = search.table(shapes)
    while True:
        counts = np.bincount(shapes.levels)[shapes.levels]
        losses = np.full(len(shapes), np.inf)
        for place in np.flatnonzero(counts > 1):
            added = np.maximum(table[:, place] - best_utility(table, int(place)), 0)
            losses[place] = search.utility(added)
        if losses.min() >= MIN_GAIN:
            return shapes
        worst = int(np.argmin(losses))
        shapes, table = shapes.minus(worst), np.delete(table, worst, axis=1)
