"""Whether a score can be read as a probability."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anchorloc.metrics.analysis.matched import Case

BINS = 10


@dataclass(frozen=True)
class Calibration:
    """Detections by score: how sure they are, and how many are right at IoU 0.5."""

    bins: tuple[tuple[int, float, float], ...]  # (detections, mean score, share right) of the bins that have any
    ece: float  # expected calibration error: mean |score - share right|, each bin as heavy as its detections


def calibration(case: Case) -> Calibration | None:
    """Divide the detections that count into ten bins of equal width; None where there are none."""
    scores, right = case.detections.scores[case.counts], case.matched[case.counts] >= 0
    if not len(scores):
        return None
    places = np.clip((scores * BINS).astype(int), 0, BINS - 1)
    counts = np.bincount(places, minlength=BINS)
    used = np.flatnonzero(counts)
    means, shares = (np.bincount(places, values, BINS)[used] / counts[used] for values in (scores, right))
    ece = float((counts[used] * abs(means - shares)).sum() / len(scores))
    return Calibration(tuple(zip(counts[used].tolist(), means.tolist(), shares.tolist(), strict=True)), ece)
