"""Shapes for every level, each chosen for itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from anchorloc.lab.fit.box_offsets import Float32Array, Float64Array, Sites
from anchorloc.lab.fit.kernels import fill_gains, fill_others, fill_worth, gain
from anchorloc.lab.fit.level_limits import LevelRule, Room
from anchorloc.structures import IntArray

CANDIDATES = 160  # shapes that a level may start from, in each restart others
JITTER = 0.1  # of the logarithm of their sides
STEPS = (0.2, 0.1, 0.05, 0.025)  # of the logarithm of a side, in refinement
MOST_ROUNDS = 4  # of exchange and refinement
LEAST_GAIN = 1e-4  # of all boxes: what a shape must add to be worth its anchors, and a round to be followed by another
SHIFTS = 24  # tried in each round
LEAST_MOVE = 1e-6  # of all boxes: what a move must gain, or rounding would keep it going for ever
MOVES = np.array([(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, -1), (1, -1), (-1, 1)], np.float64)


@dataclass(frozen=True, eq=False)
class Layout:
    """S shapes and the level of each."""

    levels: IntArray  # (S,)
    shapes: Float64Array  # (S, 2) width, height in network pixels

    def __len__(self) -> int:
        return len(self.levels)

    def plus(self, level: int, shape: Float64Array) -> Layout:
        """Return this and one more shape."""
        return Layout(np.append(self.levels, level), np.vstack([self.shapes, shape]))

    def minus(self, place: int | list[int]) -> Layout:
        """Return this without a shape, or several."""
        return Layout(np.delete(self.levels, place), np.delete(self.shapes, place, axis=0))

    def per_level(self, count: int) -> tuple[tuple[tuple[float, float], ...], ...]:
        """The shapes level by level, by area, as `AnchorGenerator` takes them; rounded to a tenth of a pixel."""
        order = np.argsort(self.shapes.prod(axis=1), kind="stable")
        rounded = [(int(self.levels[s]), max(0.1, round(w, 1)), max(0.1, round(h, 1)))
                   for s in order for w, h in [self.shapes[s].tolist()]]  # fmt: skip
        return tuple(tuple((w, h) for level, w, h in rounded if level == wanted) for wanted in range(count))


def layout_of(levels: tuple[tuple[tuple[float, float], ...], ...]) -> Layout:
    """The inverse of `Layout.per_level`."""
    counts = [len(shapes) for shapes in levels]
    flat = [shape for shapes in levels for shape in shapes]
    return Layout(np.repeat(np.arange(len(levels)), counts), np.array(flat, np.float64).reshape(-1, 2))


@dataclass(frozen=True, eq=False)
class Problem:
    """What the shapes are for. The worth of a layout is the mean over boxes of the most that any of its shapes is worth
    to each: a monotone submodular function of the set of shapes, for which greedy choice is near the best."""

    sites: Sites
    weights: Float32Array  # (N,) of the boxes
    curve: Float32Array  # what an IoU is worth, see `worth.curve_of`
    rule: LevelRule
    room: Room

    @cached_property
    def total(self) -> float:
        """The sum of all weights."""
        return float(self.weights.sum(dtype=np.float64))

    def table(self, layout: Layout) -> Float32Array:
        """(N, S) what every shape is worth to every box."""
        table = np.empty((len(self.sites), len(layout)), np.float32)
        fill_worth(layout.levels, layout.shapes, self.sites.sizes, self.sites.away, self.curve, table)
        return table

    def worth(self, best: Float32Array) -> float:
        """The worth of a layout that has `best` (N,) for each box."""
        return float(best.astype(np.float64) @ self.weights) / self.total

    def gains(self, table: Float32Array, best: Float32Array) -> Float64Array:
        """(C,) the worth that each column of `table` (N, C) adds over `best` (N,)."""
        out = np.empty(table.shape[1])
        fill_gains(table, best, self.weights, out)
        return out / self.total

    def move(self, level: int, shape: Float64Array, step: float, best: Float32Array) -> Float64Array:
        """Return the neighbor of a shape that adds most over `best`; the shape itself where none adds more than it."""
        sites = self.sites
        tried = np.vstack([shape, self.rule.clip(level, shape * np.exp(step * MOVES))])
        gains = [
            gain(width, height, sites.sizes, sites.away[level], self.curve, best, self.weights)
            for width, height in tried
        ]
        chosen = int(np.argmax(gains))
        return np.asarray(tried[chosen] if gains[chosen] - gains[0] > LEAST_MOVE * self.total else shape)


def search(problem: Problem, random: np.random.Generator) -> Layout:
    """Choose greedily from random candidates, then take turns at exchanging, shifting and moving shapes."""
    pool = candidates(problem, random)
    table = problem.table(pool)
    nothing = Layout(np.zeros(0, np.int64), np.zeros((0, 2)))
    layout, best = fill(problem, nothing, np.zeros(len(problem.sites), np.float32), pool, table)
    layout, worth = refine(problem, layout), problem.worth(best)
    for _ in range(MOST_ROUNDS):
        layout = shift(problem, exchange(problem, layout, pool, table), pool, table, random)
        layout = refine(problem, layout)
        before, worth = worth, problem.worth(best_of(problem.table(layout)))
        if worth - before < LEAST_GAIN:
            break
    return prune(problem, layout)


def best_of(table: Float32Array, without: int = -1) -> Float32Array:
    """(N,) the greatest of each row of `table` (N, S), `without` a column; at least 0."""
    best = np.empty(len(table), np.float32)
    fill_others(table, without, best)
    return best


def candidates(problem: Problem, random: np.random.Generator) -> Layout:
    """For every level shapes of boxes, a little changed, each as near to its size as the level can serve."""
    levels = len(problem.room.cells)
    chance = problem.weights.astype(np.float64) / problem.total
    drawn = [random.choice(len(chance), CANDIDATES, p=chance) for _ in range(levels)]
    sizes = problem.sites.sizes.astype(np.float64)
    moved = [sizes[rows] * np.exp(JITTER * random.standard_normal((CANDIDATES, 2))) for rows in drawn]
    shapes = [problem.rule.clip(level, shapes) for level, shapes in enumerate(moved)]
    return Layout(np.repeat(np.arange(levels), CANDIDATES), np.concatenate(shapes))


def fill(
    problem: Problem, layout: Layout, best: Float32Array, pool: Layout, table: Float32Array
) -> tuple[Layout, Float32Array]:
    """Add shapes of the pool to a layout that has `best` for each box, each time that which gains most for its price,
    until there is no room or no gain. A level that is empty then gets the shape that is worth most on its own.

    Returns the layout and its `best`.
    """
    while (room := problem.room.left(layout.levels)[pool.levels]).any():
        gains = np.where(room, problem.gains(table, best), 0)
        chosen = int(np.argmax(gains / problem.room.price[pool.levels]))
        if gains[chosen] < LEAST_GAIN:
            break
        layout = layout.plus(int(pool.levels[chosen]), pool.shapes[chosen])
        best = np.maximum(best, table[:, chosen])
    for level in np.setdiff1d(np.arange(len(problem.room.cells)), layout.levels):
        alone = np.where(pool.levels == level, problem.weights @ table, -1)
        chosen = int(np.argmax(alone))
        layout = layout.plus(int(level), pool.shapes[chosen])
        best = np.maximum(best, table[:, chosen])
    return layout, best


def exchange(problem: Problem, layout: Layout, pool: Layout, table: Float32Array) -> Layout:
    """Take out every shape in turn and fill its room anew, where that is better."""
    own = problem.table(layout)
    worth = problem.worth(best_of(own))
    place = 0
    for _ in range(len(layout)):
        other, best = fill(problem, layout.minus(place), best_of(own, place), pool, table)
        if (better := problem.worth(best)) > worth:
            layout, worth, own = other, better, problem.table(other)
        else:
            place += 1
    return layout


def shift(problem: Problem, layout: Layout, pool: Layout, table: Float32Array, random: np.random.Generator) -> Layout:
    """Move shapes to other levels in place of shapes there, and fill the room that they leave, where that is better:
    what greedy choice has put on a fine level, and another needs more, gets free so."""
    worth = problem.worth(best_of(problem.table(layout)))
    for _ in range(SHIFTS if len(layout) > 1 else 0):
        one, other = random.choice(len(layout), 2, replace=False).tolist()
        level = int(layout.levels[other])
        if level == layout.levels[one]:
            continue
        moved = problem.rule.clip(level, layout.shapes[[one]])[0]
        rest = layout.minus([one, other]).plus(level, moved)
        tried, best = fill(problem, rest, best_of(problem.table(rest)), pool, table)
        if (better := problem.worth(best)) > worth:
            layout, worth = tried, better
    return layout


def refine(problem: Problem, layout: Layout) -> Layout:
    """Move every shape in turn by ever smaller steps, as long as that gains."""
    shapes = layout.shapes.copy()
    table = problem.table(layout)
    for step in STEPS:
        for place, level in enumerate(layout.levels.tolist()):
            best = best_of(table, place)
            moved = problem.move(level, shapes[place], step, best)
            while (moved != shapes[place]).any():
                shapes[place] = moved
                moved = problem.move(level, moved, step, best)
            one = Layout(layout.levels[place : place + 1], shapes[place : place + 1])
            table[:, place] = problem.table(one)[:, 0]
    return replace(layout, shapes=shapes)


def prune(problem: Problem, layout: Layout) -> Layout:
    """Leave out, one after the other, the shapes that add next to nothing, but for the last of a level."""
    table = problem.table(layout)
    while True:
        counts = np.bincount(layout.levels)[layout.levels]
        losses = np.full(len(layout), np.inf)
        for place in np.flatnonzero(counts > 1):
            gained = np.maximum(table[:, place] - best_of(table, int(place)), 0)
            losses[place] = problem.worth(gained)
        if losses.min() >= LEAST_GAIN:
            return layout
        worst = int(np.argmin(losses))
        layout, table = layout.minus(worst), np.delete(table, worst, axis=1)
