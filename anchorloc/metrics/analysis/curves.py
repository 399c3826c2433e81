"""Precision, recall and F1 by score threshold at IoU 0.5, the recommended threshold, FROC, and calibration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from anchorloc.metrics.analysis.matched import MatchedDetections
from anchorloc.metrics.operating_point import OperatingPoint, threshold_sums
from anchorloc.structures import Category, Float64Array, IntArray

BINS = 10  # equal bins of the score, for calibration
FALSE_POSITIVE_RATES: Final = (0.125, 0.25, 0.5, 1, 2, 4, 8)  # per image: where LUNA16 reads FROC
MAX_POINTS = 200  # points of a stored curve at most


@dataclass(frozen=True, eq=False)
class ClassCurve:
    """The curve of one class, or of all classes together if `category` is None."""

    category: Category | None
    points: tuple[OperatingPoint, ...]  # by descending threshold, thinned
    best: OperatingPoint | None  # point of greatest F1
    at_precision: OperatingPoint | None  # point of greatest recall at the minimum precision asked for
    boxes: int

    @property
    def recommended(self) -> OperatingPoint | None:
        """Return the point of the minimum precision if one reaches it, else the point of best F1."""
        return self.at_precision or self.best


@dataclass(frozen=True, eq=False)
class Froc:
    """Free-response ROC: recall against false positives per image, all classes together."""

    points: tuple[tuple[float, float], ...]  # (false positives per image, recall), ascending
    recall_at: dict[float, float]  # by FALSE_POSITIVE_RATES

    @property
    def mean(self) -> float:
        """Return the mean recall at FALSE_POSITIVE_RATES."""
        return float(np.mean(list(self.recall_at.values())))


@dataclass(frozen=True)
class Calibration:
    """Mean score against precision at IoU 0.5, in bins of the score."""

    bins: tuple[tuple[int, float, float], ...]  # (detections, mean score, precision) of each bin that is not empty
    ece: float  # expected calibration error: mean |score - precision| over bins, weighted by their detections


def class_curves(matched: MatchedDetections, min_precision: float | None) -> Iterator[ClassCurve]:
    """Yield the curve of all classes together, then of each class.

    Args:
        min_precision: the precision that `at_precision` must reach.
    """
    boxes = matched.truth.labels[matched.countable_boxes]
    yield _curve(matched, matched.match_result.rows, len(boxes), None, min_precision)
    counts = np.bincount(boxes, minlength=len(matched.categories)).tolist()
    starts = matched.match_result.starts.tolist()
    for category, count, (start, end) in zip(matched.categories, counts, pairwise(starts), strict=True):
        yield _curve(matched, matched.match_result.rows[start:end], count, category, min_precision)


def _curve(
    matched: MatchedDetections, rows: IntArray, count: int, category: Category | None, min_precision: float | None
) -> ClassCurve:
    """Return the curve of detections, which may be ignored ones, and of `count` boxes."""
    rows = rows[matched.counted[rows]]
    if not count or not len(rows):
        return ClassCurve(category, (), None, None, count)
    sums = threshold_sums(matched.detections.scores[rows], matched.is_true_positive[rows])
    best = sums.best(count)
    at_precision = None if min_precision is None else sums.best_recall(count, min_precision)
    shown = np.unique(np.linspace(0, len(sums.kept) - 1, MAX_POINTS).astype(int)).tolist()
    points = tuple(sums.point(place, count) for place in shown)
    return ClassCurve(category, points, best, at_precision, count)


def froc(matched: MatchedDetections) -> Froc | None:
    """Return the FROC curve; None where there is no box to find."""
    boxes = int(matched.countable_boxes.sum())
    if not boxes:
        return None
    rows = np.flatnonzero(matched.counted)
    sums = threshold_sums(matched.detections.scores[rows], matched.is_true_positive[rows])
    rates, recall = (sums.kept - sums.true_positives) / matched.images, sums.true_positives / boxes
    at = {rate: _recall_at(rates, recall, rate) for rate in FALSE_POSITIVE_RATES}
    shown = _subsample(rates)
    return Froc(tuple(zip(rates[shown].tolist(), recall[shown].tolist(), strict=True)), at)


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


def _recall_at(rates: Float64Array, recall: Float64Array, rate: float) -> float:
    """Return the recall at the lowest threshold with at most `rate` false positives per image."""
    place = int(np.searchsorted(rates, rate, side="right")) - 1
    return float(recall[place]) if place >= 0 else 0.0


def _subsample(rates: Float64Array) -> IntArray:
    """Return indices spread over the curve, up to the last of FALSE_POSITIVE_RATES."""
    last = int(np.searchsorted(rates, FALSE_POSITIVE_RATES[-1], side="right"))
    return np.unique(np.linspace(0, last - 1, MAX_POINTS).astype(int)) if last else np.zeros(0, np.int64)
