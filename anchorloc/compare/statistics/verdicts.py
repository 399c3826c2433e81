"""Is one setting better than another? Intervals, p-values and verdicts, over all declared pairs at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from anchorloc.compare.statistics.permutation import family_wise_p, smallest_p
from anchorloc.compare.statistics.students_t import critical_t
from anchorloc.compare.statistics.variance_components import VarianceComponents, estimate_components
from anchorloc.structures import Float64Array
from anchorloc.text import counted

LEVEL = 0.05  # significance level of an interval, and of a family of verdicts
POWER = 0.8  # chance of a winner that "N more seeds" aims at
DRAWS = 4000  # Monte Carlo draws for a power
MAX_SEEDS = 1000  # to advise


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds, with its interval over other seeds and other images."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Verdict:
    """What the study shows of one setting against another."""

    setting: str
    against: str
    difference: Estimate  # difference of AP; the intervals of all pairs hold together in 95% of studies
    p: float  # family-wise, two-sided, from the seeds alone
    variance: VarianceComponents  # variance of the difference
    level: float  # significance level of the interval of this pair

    @property
    def decision(self) -> Literal["better", "worse", "not shown"]:
        """Return the verdict: a winner needs p of at most LEVEL and an interval without 0."""
        if self.p > LEVEL or self.difference.low <= 0 <= self.difference.high:
            return "not shown"
        return "better" if self.difference.value > 0 else "worse"

    @property
    def reason(self) -> str:
        """Say why no winner is named; empty where one is."""
        if self.decision != "not shown":
            return ""
        if smallest_p(self.variance.seeds) > LEVEL:
            why = f"{self.variance.seeds} seeds cannot reach p {LEVEL}"
        elif self.p > LEVEL:
            why = "could be chance of the seeds"
        else:
            why = "could reverse with other seeds or images"
        more = more_seeds(self.difference.value, self.variance, self.level)
        if more is None:
            return f"{why}; more seeds alone would not decide it"
        return f"{why}; about {counted(more, 'more seed', 'more seeds')} would decide it"


def mean_estimate(values: Float64Array, resampled: Float64Array, images: int, level: float = LEVEL) -> Estimate:
    """Return the mean AP over seeds with its 1 - `level` interval; arguments as for `estimate_components`."""
    found = _estimate(float(values.mean()), estimate_components(values, resampled, images), level)
    return Estimate(found.value, max(0.0, found.low), min(1.0, found.high))


def judge_pairs(
    ap: Float64Array, resampled: Float64Array, images: int, names: Sequence[str], pairs: Sequence[tuple[str, str]]
) -> list[Verdict]:
    """Judge every pair (setting, against).

    Args:
        ap: (M, S) of each setting and seed.
        resampled: (B, M, S) AP on images drawn with replacement, the same draws for all.
        images: how many images there are.
        names: of the M settings.
    """
    place = {name: row for row, name in enumerate(names)}
    ours, theirs = ([place[pair[side]] for pair in pairs] for side in (0, 1))
    differences = (ap[ours] - ap[theirs]).T  # (S, K)
    drawn = resampled[:, ours] - resampled[:, theirs]  # (B, K, S)
    variances = [estimate_components(differences[:, k], drawn[:, k], images) for k in range(len(pairs))]
    level = LEVEL / len(pairs)  # Bonferroni: all intervals hold together, whatever the correlation of the pairs
    p = family_wise_p(differences)
    means = differences.mean(axis=0).tolist()
    return [
        Verdict(*pair, _estimate(means[k], variances[k], level), float(p[k]), variances[k], level)
        for k, pair in enumerate(pairs)
    ]


def power(difference: float, variance: VarianceComponents, level: float, seeds: int | None = None) -> float:
    """Return the chance that an interval of `level` excludes 0 on the right side if `difference` is the truth."""
    deviation, freedom = np.sqrt(variance.variance(seeds)), variance.degrees_of_freedom(seeds)
    if deviation == 0:
        return float(difference != 0)
    random = np.random.default_rng(0)
    chi = random.standard_gamma(freedom / 2, DRAWS) * 2 / freedom
    shifted = random.standard_normal(DRAWS) + abs(difference) / deviation
    return float((shifted > critical_t(level, freedom) * np.sqrt(chi)).mean())


def more_seeds(difference: float, variance: VarianceComponents, level: float) -> int | None:
    """Return how many more seeds reach a power of POWER and a p of LEVEL; None beyond MAX_SEEDS."""

    def enough(seeds: int) -> bool:
        return smallest_p(seeds) <= LEVEL and power(difference, variance, level, seeds) >= POWER

    if not enough(MAX_SEEDS):
        return None
    low, high = variance.seeds, MAX_SEEDS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high - variance.seeds


def _estimate(value: float, variance: VarianceComponents, level: float) -> Estimate:
    half = critical_t(level, variance.degrees_of_freedom()) * float(np.sqrt(variance.variance()))
    return Estimate(value, value - half, value + half)
