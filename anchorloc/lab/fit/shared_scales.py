"""Search scales and aspect ratios that all levels share: the form of anchors that other tools read too."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from anchorloc.lab.fit.search import ShapeSearch, ShapeSet, best_utility
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


def search_scales(search: ShapeSearch, random: np.random.Generator) -> ScaleGrid:
    """Return the best grid with the budget's number of shapes, over all ways to divide it into scales and ratios."""
    shapes = int(search.budget.max_shapes[0])
    grids = [coordinate_search(search, random_grid(search, scales, shapes // scales, random))
             for scales in range(1, shapes + 1) if shapes % scales == 0]  # fmt: skip
    return max(grids, key=lambda grid: utility(search, grid))


def random_grid(search: ShapeSearch, scales: int, ratios: int, random: np.random.Generator) -> ScaleGrid:
    """Return ratios at random quantiles of the boxes' ratios, and random scales within the limits."""
    sizes = search.boxes.sizes.astype(np.float64)
    rows = random.choice(len(sizes), 256, p=search.weights.astype(np.float64) / search.total)
    drawn = np.log(sizes[rows])
    low, high = scale_limits(search)
    if not math.isfinite(high):
        low, high = np.quantile(np.exp(drawn.sum(axis=1) / 2), (0.05, 0.95)) / search.sizes.strides[0]
    places = (np.arange(scales) + random.uniform(size=scales)) / scales
    chances = (np.arange(ratios) + random.uniform(size=ratios)) / ratios
    return ScaleGrid(low * (high / low) ** places, np.exp(np.quantile(drawn[:, 1] - drawn[:, 0], chances)))


def scale_limits(search: ShapeSearch) -> tuple[float, float]:
    """Return the least and the greatest scale that every level allows."""
    sizes = search.sizes
    ranges = [(sizes.of_level(level), stride) for level, stride in enumerate(sizes.strides)]
    low = max(limits[0] / stride for limits, stride in ranges)
    return low, min(limits[1] / stride for limits, stride in ranges)


def coordinate_search(search: ShapeSearch, grid: ScaleGrid) -> ScaleGrid:
    """Change one scale or ratio at a time by smaller and smaller steps, while the utility rises."""
    numbers = np.log(np.concatenate([grid.scales, grid.ratios]))
    count = len(grid.scales)
    low, high = (math.log(limit) if limit else -math.inf for limit in scale_limits(search))
    best = utility(search, grid)
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
                    if (better := utility(search, other)) > best + MIN_MOVE:
                        grid, numbers, best, moved = other, tried, better, True
    return grid


def utility(search: ShapeSearch, grid: ScaleGrid) -> float:
    """Return the utility of the shapes of a grid."""
    return search.utility(best_utility(search.table(grid.shapes(search.sizes.strides))))
