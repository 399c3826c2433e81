"""Scales and aspect ratios that all levels share: fewer numbers, and the form that other tools read too."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from anchorloc.lab.fit.box_offsets import Float64Array
from anchorloc.lab.fit.search import Layout, Problem, best_of

STEPS = (0.2, 0.1, 0.05, 0.02)  # of the logarithm of a scale or a ratio
LEAST_MOVE = 1e-5  # of worth: what a move must gain


@dataclass(frozen=True, eq=False)
class Ladder:
    """Every level has every scale in every ratio."""

    scales: Float64Array  # (S,) multiples of the stride
    ratios: Float64Array  # (R,) height / width

    def layout(self, strides: tuple[float, ...]) -> Layout:
        """The shapes that it stands for."""
        scale, ratio = (part.ravel() for part in np.meshgrid(self.scales, self.ratios))
        unit = np.stack([scale / np.sqrt(ratio), scale * np.sqrt(ratio)], axis=1)
        levels = np.repeat(np.arange(len(strides)), len(unit))
        return Layout(levels, np.concatenate([stride * unit for stride in strides]))

    def rounded(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """The scales and the ratios, ascending, as `AnchorGenerator` takes them."""
        scales, ratios = (
            tuple(sorted(float(f"{value:.4g}") for value in values)) for values in (self.scales, self.ratios)
        )
        return scales, ratios


def search_ladder(problem: Problem, random: np.random.Generator) -> Ladder:
    """Return the best ladder of as many shapes as each level has room for, over all ways to split the number."""
    shapes = int(problem.room.most[0])
    ladders = [climb(problem, start(problem, scales, shapes // scales, random))
               for scales in range(1, shapes + 1) if shapes % scales == 0]  # fmt: skip
    return max(ladders, key=lambda ladder: worth(problem, ladder))


def start(problem: Problem, scales: int, ratios: int, random: np.random.Generator) -> Ladder:
    """Ratios at random quantiles of the boxes', scales at random between the limits."""
    sizes = problem.sites.sizes.astype(np.float64)
    rows = random.choice(len(sizes), 256, p=problem.weights.astype(np.float64) / problem.total)
    drawn = np.log(sizes[rows])
    low, high = limits(problem)
    if not math.isfinite(high):
        low, high = np.quantile(np.exp(drawn.sum(axis=1) / 2), (0.05, 0.95)) / problem.rule.strides[0]
    places = (np.arange(scales) + random.uniform(size=scales)) / scales
    chances = (np.arange(ratios) + random.uniform(size=ratios)) / ratios
    return Ladder(low * (high / low) ** places, np.exp(np.quantile(drawn[:, 1] - drawn[:, 0], chances)))


def limits(problem: Problem) -> tuple[float, float]:
    """The scales that the rule of the levels allows on all of them."""
    rule = problem.rule
    bands = [(rule.band(level), stride) for level, stride in enumerate(rule.strides)]
    low = max(band[0] / stride for band, stride in bands)
    return low, min(band[1] / stride for band, stride in bands)


def climb(problem: Problem, ladder: Ladder) -> Ladder:
    """Move one scale or ratio at a time by ever smaller steps, as long as that gains."""
    numbers = np.log(np.concatenate([ladder.scales, ladder.ratios]))
    count = len(ladder.scales)
    low, high = (math.log(limit) if limit else -math.inf for limit in limits(problem))
    best = worth(problem, ladder)
    for step in STEPS:
        moved = True
        while moved:
            moved = False
            for place in range(len(numbers)):
                for signed in (step, -step):
                    tried = numbers.copy()
                    tried[place] += signed
                    tried[:count] = np.clip(tried[:count], low, high)
                    other = Ladder(np.exp(tried[:count]), np.exp(tried[count:]))
                    if (better := worth(problem, other)) > best + LEAST_MOVE:
                        ladder, numbers, best, moved = other, tried, better, True
    return ladder


def worth(problem: Problem, ladder: Ladder) -> float:
    """The worth of the shapes of a ladder."""
    return problem.worth(best_of(problem.table(ladder.layout(problem.rule.strides))))
