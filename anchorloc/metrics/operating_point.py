"""One score threshold, and what it gives: how a person meets a detector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anchorloc.metrics.box_tables import Float64Array
from anchorloc.structures import BoolArray, IntArray


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
    sums = threshold_sums(scores, right)
    if not boxes or not sums.right.any():
        return None
    return sums.point(int(np.argmax(sums.f1(boxes))), boxes)


@dataclass(frozen=True, eq=False)
class ThresholdSums:
    """Every score threshold that keeps other detections than its neighbors, descending, and what each keeps."""

    thresholds: Float64Array  # (P,)
    right: IntArray  # (P,)
    kept: IntArray  # (P,) right and wrong

    def f1(self, boxes: int) -> Float64Array:
        """(P,) at each threshold."""
        return np.asarray(2 * self.right / (self.kept + boxes))

    def point(self, place: int, boxes: int) -> OperatingPoint:
        """Return one of them."""
        right, kept = int(self.right[place]), int(self.kept[place])
        f1 = 2 * right / (kept + boxes)
        return OperatingPoint(float(self.thresholds[place]), right / kept, right / boxes, f1)


def threshold_sums(scores: Float64Array, right: BoolArray) -> ThresholdSums:
    """Count what each threshold keeps; arguments as those of `best_f1`."""
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.diff(scores[order], append=-np.inf))  # equal scores stay or go together
    return ThresholdSums(scores[order][ends], np.cumsum(right[order], dtype=np.int64)[ends], ends + 1)
