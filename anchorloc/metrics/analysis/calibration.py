"""Calibration: can a score be read as a probability?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anchorloc.metrics.analysis.matched import MatchedDetections

BINS = 10


@dataclass(frozen=True)
class Calibration:
    """Mean score against precision at IoU 0.5, in bins of the score."""

    bins: tuple[tuple[int, float, float], ...]  # (detections, mean score, precision) of each bin that is not empty
    ece: float  # expected calibration error: mean |score - precision| over bins, weighted by their detections


def calibration(matched: MatchedDetections) -> Calibration | None:
    """Divide the counted detections into ten bins of equal width; None where there are none."""
    counted = matched.counted
    scores, hits = matched.detections.scores[counted], matched.is_true_positive[counted]
    if not len(scores):
        return None
    places = np.clip((scores * BINS).astype(int), 0, BINS - 1)
    counts = np.bincount(places, minlength=BINS)
    used = np.flatnonzero(counts)
    means, shares = (np.bincount(places, values, BINS)[used] / counts[used] for values in (scores, hits))
    ece = float((counts[used] * abs(means - shares)).sum() / len(scores))
    return Calibration(tuple(zip(counts[used].tolist(), means.tolist(), shares.tolist(), strict=True)), ece)
