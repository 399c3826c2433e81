"""Verdicts on a family of differences, so that all of them together name a false winner in at most 5% of cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from anchorloc.compare.statistics.jackknife import PairedDifference
from anchorloc.compare.statistics.verdicts import LEVEL
from anchorloc.structures import Float64Array


@dataclass(frozen=True)
class JudgedDifference:
    """A difference of two scores and what it shows."""

    value: float
    interval: tuple[float, float] | None  # 95% interval of this difference alone; None where all images agree
    p: float  # two-sided, corrected for all differences of the family
    images_factor: float | None  # see `PairedDifference.images_factor`; for a difference that is not shown

    @property
    def decision(self) -> Literal["better", "worse", "not shown"]:
        """Return the verdict: a winner needs p of at most LEVEL."""
        if self.p > LEVEL:
            return "not shown"
        return "better" if self.value > 0 else "worse"


def judge_family(differences: Sequence[PairedDifference]) -> list[JudgedDifference]:
    """Judge differences together, with p corrected by Holm's method."""
    p = holm(np.array([difference.p() for difference in differences]))
    open_level = LEVEL / max(1, int((p > LEVEL).sum()))  # the level that the clearest undecided difference faces
    return [
        JudgedDifference(
            one.value, one.interval(LEVEL) if one.deviation else None, corrected, one.images_factor(open_level)
        )
        for one, corrected in zip(differences, p.tolist(), strict=True)
    ]


def holm(p: Float64Array) -> Float64Array:
    """Return p-values (K,) that keep the family-wise error rate, step down from the least (Holm, 1979)."""
    order = np.argsort(p, kind="stable")
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return corrected
