"""Search scales and aspect ratios that all levels share: the form of anchors that other tools read too."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from anchorloc.lab.fit.search import Problem, ShapeSet, best_utility
from anchorloc.structures import Float64Array

STEPS = (0.2, 0.1, 0.05, 0.02)  # steps of the logarithm of a scale or a ratio
MIN_MOVE = 1e-5  # utility that a step must add


@dataclass(frozen=True, eq=False)
class ScaleGrid:
    """Every scale in every aspect ratio, on every level."""

    scales: Float64Array  # (S,) multiples of the stride
    ratios: Float64Array  # (R,) height / width

    def shapes(self, strides: tuple[float, ...]) -> ShapeSet:
        """Return the anchor shapes on levels of these strides."""
        scale, ratio = (part.ravel() for part in np.meshgrid(self.scales, self.ratios))
        unit = np.stack([scale / np.sqrt(ratio), scale * np.sqrt(ratio)], axis=1)
        levels = np.repeat(np.arange(len(strides)), len(unit))
        return ShapeSet(levels, np.concatenate([stride * unit for stride in strides]))

    def rounded(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return the scales and the ratios, ascending, as `AnchorGenerator` takes them."""
        scales, ratios = (
            tuple(sorted(float(f"{value:.4g}") for value in values)) for values in (self.scales, self.ratios)
        )
        return scales, ratios


def search_scales(problem: Problem, random: np.random.Generator) -> ScaleGrid:
    """Return the best grid with the budget's number of shapes, over all ways to divide it into scales and ratios."""
    shapes = int(problem.budget.max_shapes[0])
    grids = [coordinate_search(problem, random_grid(problem, scales, shapes // scales, random))
             for scales in range(1, shapes + 1) if shapes % scales == 0]  # fmt: skip
    return max(grids, key=lambda grid: utility(problem, grid))


def random_grid(problem: Problem, scales: int, ratios: int, random: np.random.Generator) -> ScaleGrid:
    """Return ratios at random quantiles of the boxes' ratios, and random scales within the limits."""
    sizes = problem.boxes.sizes.astype(np.float64)
    rows = random.choice(len(sizes), 256, p=problem.weights.astype(np.float64) / problem.total)
    drawn = np.log(sizes[rows])
    low, high = scale_limits(problem)
    if not math.isfinite(high):
        low, high = np.quantile(np.exp(drawn.sum(axis=1) / 2), (0.05, 0.95)) / problem.sizes.strides[0]
    places = (np.arange(scales) + random.uniform(size=scales)) / scales
    chances = (np.arange(ratios) + random.uniform(size=ratios)) / ratios
    return ScaleGrid(low * (high / low) ** places, np.exp(np.quantile(drawn[:, 1] - drawn[:, 0], chances)))


def scale_limits(problem: Problem) -> tuple[float, float]:
    """Return the least and the greatest scale that every level allows."""
    sizes = problem.sizes
    ranges = [(sizes.of_level(level), stride) for level, stride in enumerate(sizes.strides)]
    low = max(limits[0] / stride for limits, stride in ranges)
    return low, min(limits[1] / stride for limits, stride in ranges)


def coordinate_search(problem: Problem, grid: ScaleGrid) -> ScaleGrid:
    """Change one scale or ratio at a time by smaller and smaller steps, while the utility rises."""
    numbers = np.log(np.concatenate([grid.scales, grid.ratios]))
    count = len(grid.scales)
    low, high = (math.log(limit) if limit else -math.inf for limit in scale_limits(problem))
    best = utility(problem, grid)
    for step in STEPS:
        moved = True
        while moved:
            moved = False
            for place in range(len(numbers)):
                for change in (step, -step):
                    tried = numbers.copy()
                    tried[place] += change
                    tried[:count] = np.clip(tried[:count], low, high)
                    other = ScaleGrid(np.exp(tried[:count]), np.exp(tried[count:]))
                    if (better := utility(problem, other)) > best + MIN_MOVE:
                        grid, numbers, best, moved = other, tried, better, True
    return grid


def utility(problem: Problem, grid: ScaleGrid) -> float:
    """Return the utility of the shapes of a grid."""
    return problem.utility(best_utility(problem.table(grid.shapes(problem.sizes.strides))))
