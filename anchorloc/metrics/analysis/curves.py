"""Precision, recall and F1 by score threshold, at IoU 0.5, and the threshold to use."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from anchorloc.metrics.analysis.matched import Case
from anchorloc.metrics.box_tables import Float64Array
from anchorloc.metrics.operating_point import OperatingPoint, threshold_sums
from anchorloc.structures import BoolArray, Category, IntArray

FALSE_ALARMS: Final = (0.125, 0.25, 0.5, 1, 2, 4, 8)  # per image: where FROC is read, as in LUNA16
MOST_POINTS = 200  # of a stored curve


@dataclass(frozen=True, eq=False)
class ClassCurve:
    """One class, or all together where there is none."""

    category: Category | None
    points: tuple[OperatingPoint, ...]  # by descending threshold, thinned
    best: OperatingPoint | None  # of greatest F1
    wanted: OperatingPoint | None  # of greatest recall at the wanted precision
    boxes: int

    @property
    def recommended(self) -> OperatingPoint | None:
        """The threshold to use: for the wanted precision where one is, else for the best F1."""
        return self.wanted or self.best


@dataclass(frozen=True, eq=False)
class Froc:
    """Free-response ROC: boxes found against false alarms an image, all classes together."""

    points: tuple[tuple[float, float], ...]  # (false alarms an image, recall), ascending
    recall_at: dict[float, float]  # by FALSE_ALARMS

    @property
    def mean(self) -> float:
        """The mean recall at FALSE_ALARMS."""
        return float(np.mean(list(self.recall_at.values())))


def class_curves(case: Case, precision: float | None) -> Iterator[ClassCurve]:
    """Yield the curve of all classes together, and of each.

    Args:
        precision: the least that a wanted threshold must keep.
    """
    everything = np.ones(len(case.detections.scores), np.bool_)
    yield _curve(case, everything, np.ones(len(case.truth.images), np.bool_), None, precision)
    for label, category in enumerate(case.categories):
        yield _curve(case, case.detections.labels == label, case.truth.labels == label, category, precision)


def _curve(
    case: Case, detections: BoolArray, boxes: BoolArray, category: Category | None, precision: float | None
) -> ClassCurve:
    rows, count = np.flatnonzero(detections & case.counts), int((boxes & case.to_find).sum())
    if not count or not len(rows):
        return ClassCurve(category, (), None, None, count)
    sums = threshold_sums(case.detections.scores[rows], case.matched[rows] >= 0)
    best = sums.point(int(np.argmax(sums.f1(count))), count) if sums.right.any() else None
    kept = np.flatnonzero(sums.right >= (np.inf if precision is None else precision) * sums.kept)
    wanted = sums.point(int(kept[np.argmax(sums.right[kept])]), count) if len(kept) else None
    shown = np.unique(np.linspace(0, len(sums.kept) - 1, MOST_POINTS).astype(int)).tolist()
    points = tuple(sums.point(place, count) for place in shown)
    return ClassCurve(category, points, best, wanted if best else None, count)


def froc(case: Case) -> Froc | None:
    """Return the curve; None where there is nothing to find."""
    boxes = int(case.to_find.sum())
    if not boxes:
        return None
    rows = np.flatnonzero(case.counts)
    sums = threshold_sums(case.detections.scores[rows], case.matched[rows] >= 0)
    alarms, recall = (sums.kept - sums.right) / case.images, sums.right / boxes
    at = {rate: _recall_at(alarms, recall, rate) for rate in FALSE_ALARMS}
    shown = _drawn(alarms, recall)
    return Froc(tuple(zip(alarms[shown].tolist(), recall[shown].tolist(), strict=True)), at)


def _recall_at(alarms: Float64Array, recall: Float64Array, rate: float) -> float:
    """The recall at the lowest threshold with at most so many false alarms."""
    place = int(np.searchsorted(alarms, rate, side="right")) - 1
    return float(recall[place]) if place >= 0 else 0.0


def _drawn(alarms: Float64Array, recall: Float64Array) -> IntArray:
    """Places spread over the curve up to the last of FALSE_ALARMS."""
    last = int(np.searchsorted(alarms, FALSE_ALARMS[-1], side="right"))
    return np.unique(np.linspace(0, last - 1, MOST_POINTS).astype(int)) if last else np.zeros(0, np.int64)
