"""One score threshold, and what it gives: how a person meets a detector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anchorloc.metrics.columns import Float64Array
from anchorloc.structures import BoolArray


@dataclass(frozen=True)
class OperatingPoint:
    """All classes together at one score threshold; a box is found at IoU ≥ 0.5."""

    threshold: float  # detections of at least this score are kept
    precision: float  # share of the kept detections that find a box
    recall: float  # share of the boxes found
    f1: float  # harmonic mean of the two


def best_f1(scores: Float64Array, right: BoolArray, boxes: int) -> OperatingPoint | None:
    """Return the score threshold of greatest F1 = 2·TP / (TP + FP + boxes), the highest of equals.

    Args:
        scores: (D,) of the detections that count.
        right: (D,) whether each finds a box. Matching goes by descending score, so a threshold changes no match.
        boxes: how many boxes there are to find. With none of them, or nothing right, there is no best: None.
    """
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.diff(scores[order], append=-np.inf))  # equal scores stay or go together
    true_positives = np.cumsum(right[order])[ends]
    if not boxes or not true_positives.any():
        return None
    f1 = 2 * true_positives / (ends + 1 + boxes)
    best = int(np.argmax(f1))
    found, kept = int(true_positives[best]), int(ends[best]) + 1
    return OperatingPoint(float(scores[order][ends[best]]), found / kept, found / boxes, float(f1[best]))
