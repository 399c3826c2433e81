"""One score threshold of a detector, with its precision, recall and F1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anchorloc.metrics.orders import descending_order
from anchorloc.structures import BoolArray, Float64Array, IntArray


@dataclass(frozen=True)
class OperatingPoint:
    """All classes together at one score threshold and IoU 0.5."""

    threshold: float  # detections of at least this score are kept
    precision: float  # share of the kept detections that are true positives
    recall: float  # share of the boxes found
    f1: float  # harmonic mean of the two


def best_f1(scores: Float64Array, is_true_positive: BoolArray, boxes: int) -> OperatingPoint | None:
    """Return the threshold of greatest F1 = 2·TP / (TP + FP + boxes), the highest of equals.

    None without a TP, and where several detections all have one score: no threshold separates them.

    Args:
        scores: (D,) of the detections that count.
        is_true_positive: (D,). Matching goes by descending score, so a threshold changes no match.
        boxes: number of boxes to find.
    """
    sums = threshold_sums(scores, is_true_positive)
    return sums.best(boxes)


def best_recall(
    scores: Float64Array, is_true_positive: BoolArray, boxes: int, precision: float
) -> OperatingPoint | None:
    """Return the threshold of greatest recall whose precision is at least `precision`; None if no threshold has it.

    Of equal recalls the highest threshold is returned. The other arguments are as for `best_f1`.
    """
    return threshold_sums(scores, is_true_positive).best_recall(boxes, precision) if boxes else None


@dataclass(frozen=True, eq=False)
class ThresholdSums:
    """The P distinct score thresholds, descending, and how many detections each keeps."""

    thresholds: Float64Array  # (P,)
    true_positives: IntArray  # (P,)
    kept: IntArray  # (P,) true and false positives

    def f1(self, boxes: int) -> Float64Array:  # (P,)
        """Return F1 at each threshold."""
        return np.asarray(2 * self.true_positives / (self.kept + boxes))

    @property
    def one_score(self) -> bool:
        """Return whether several detections all have one score, so that no threshold separates them."""
        return len(self.kept) == 1 and bool(self.kept[0] > 1)

    def best(self, boxes: int) -> OperatingPoint | None:
        """Return the operating point of greatest F1, None where no threshold is better than another."""
        if not boxes or self.one_score or not self.true_positives.any():
            return None
        return self.point(int(np.argmax(self.f1(boxes))), boxes)

    def best_recall(self, boxes: int, precision: float) -> OperatingPoint | None:
        """Return the operating point of greatest recall whose precision is at least `precision`."""
        if self.one_score:
            return None
        places = np.flatnonzero((self.true_positives >= precision * self.kept) & (self.true_positives > 0))
        return self.point(int(places[np.argmax(self.true_positives[places])]), boxes) if len(places) else None

    def point(self, place: int, boxes: int) -> OperatingPoint:
        """Return the operating point of one threshold."""
        true_positives, kept = int(self.true_positives[place]), int(self.kept[place])
        f1 = 2 * true_positives / (kept + boxes)
        return OperatingPoint(float(self.thresholds[place]), true_positives / kept, true_positives / boxes, f1)


def threshold_sums(scores: Float64Array, is_true_positive: BoolArray) -> ThresholdSums:
    """Count what each threshold keeps; arguments as for `best_f1`."""
    order = descending_order(scores)
    scores = scores[order]
    ends = np.flatnonzero(np.diff(scores, append=-np.inf))  # equal scores are kept or dropped together
    return ThresholdSums(scores[ends], np.cumsum(is_true_positive[order], dtype=np.int64)[ends], ends + 1)
