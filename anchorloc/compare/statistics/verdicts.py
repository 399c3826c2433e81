"""Is one setting better than another? Intervals, p and a verdict, over all declared pairs at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from anchorloc.compare.statistics.permutation import family_wise_p, smallest_p
from anchorloc.compare.statistics.student_t import critical
from anchorloc.compare.statistics.variance_components import Components, components

Float64Array = NDArray[np.float64]
LEVEL = 0.05  # of error: of an interval, and of a family of verdicts
POWER = 0.8  # the chance to tell that "N more seeds" aims at
DRAWS = 4000  # of the distribution that a power is read from
MOST_SEEDS = 1000  # to advise


@dataclass(frozen=True)
class Interval:
    """A mean over seeds, and where it would lie over other seeds and other images."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Verdict:
    """What is shown of one setting against another."""

    setting: str
    against: str
    difference: Interval  # of AP; this interval and those of the other pairs hold together in 95% of studies
    p: float  # family-wise, two-sided: by the seeds alone
    noise: Components  # of the difference
    level: float  # of its interval on its own

    @property
    def word(self) -> Literal["better", "worse", "not shown"]:
        """A winner is named where the seeds agree beyond luck, and other images would not turn it round."""
        if self.p > LEVEL or self.difference.low <= 0 <= self.difference.high:
            return "not shown"
        return "better" if self.difference.value > 0 else "worse"

    @property
    def reason(self) -> str:
        """Why no winner is named, or nothing where one is."""
        if self.word != "not shown":
            return ""
        if smallest_p(self.noise.seeds) > LEVEL:
            why = f"{self.noise.seeds} seeds cannot reach p {LEVEL}"
        elif self.p > LEVEL:
            why = "could be luck of the seeds"
        else:
            why = "could turn round on other seeds and images"
        more = more_seeds(self.difference.value, self.noise, self.level)
        if more is None:
            return f"{why}; more seeds alone would not tell"
        return f"{why}; about {more} more seed{'s' * (more != 1)} would tell"


def mean_interval(values: Float64Array, resampled: Float64Array, images: int, level: float = LEVEL) -> Interval:
    """Return the mean AP over seeds and its interval with 1 - `level`, see `components` for the arguments."""
    found = _interval(float(values.mean()), components(values, resampled, images), level)
    return Interval(found.value, max(0.0, found.low), min(1.0, found.high))


def verdicts(
    ap: Float64Array, resampled: Float64Array, images: int, names: Sequence[str], pairs: Sequence[tuple[str, str]]
) -> list[Verdict]:
    """Judge every pair (setting, against).

    Args:
        ap: (M, S) of each setting and seed.
        resampled: (B, M, S) the same on images drawn with replacement, the same draws for all.
        images: how many there are.
        names: of the M settings.
    """
    place = {name: row for row, name in enumerate(names)}
    ours, theirs = ([place[pair[side]] for pair in pairs] for side in (0, 1))
    differences = (ap[ours] - ap[theirs]).T  # (S, K)
    drawn = resampled[:, ours] - resampled[:, theirs]  # (B, K, S)
    noise = [components(differences[:, k], drawn[:, k], images) for k in range(len(pairs))]
    level = LEVEL / len(pairs)  # Bonferroni's: all intervals hold together, however the pairs hang together
    p = family_wise_p(differences)
    means = differences.mean(axis=0).tolist()
    return [
        Verdict(*pair, _interval(means[k], noise[k], level), float(p[k]), noise[k], level)
        for k, pair in enumerate(pairs)
    ]


def power(difference: float, noise: Components, level: float, seeds: int | None = None) -> float:
    """Return the chance that an interval of `level` leaves out 0 on the right side, were `difference` the truth."""
    deviation, freedom = np.sqrt(noise.variance(seeds)), noise.freedom(seeds)
    if deviation == 0:
        return float(difference != 0)
    random = np.random.default_rng(0)
    chi = random.standard_gamma(freedom / 2, DRAWS) * 2 / freedom
    shifted = random.standard_normal(DRAWS) + abs(difference) / deviation
    return float((shifted > critical(level, freedom) * np.sqrt(chi)).mean())


def more_seeds(difference: float, noise: Components, level: float) -> int | None:
    """Return how many seeds more give `power` of POWER and a p that can be reached; None beyond MOST_SEEDS."""

    def enough(seeds: int) -> bool:
        return smallest_p(seeds) <= LEVEL and power(difference, noise, level, seeds) >= POWER

    if not enough(MOST_SEEDS):
        return None
    low, high = noise.seeds, MOST_SEEDS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high - noise.seeds


def _interval(value: float, noise: Components, level: float) -> Interval:
    half = critical(level, noise.freedom()) * float(np.sqrt(noise.variance()))
    return Interval(value, value - half, value + half)
