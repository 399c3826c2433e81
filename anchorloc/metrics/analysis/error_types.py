"""The type of every error, and the AP50 that a detector would have without errors of that type.

After TIDE (Bolya et al., ECCV 2020), except that the box of greatest IoU decides the type of an error.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np

from anchorloc.metrics.analysis.matched import MatchedDetections
from anchorloc.metrics.analysis.nearest_boxes import NearestBoxes
from anchorloc.metrics.match_kernels import IGNORED, TRUE_POSITIVE
from anchorloc.metrics.scores import mean_of_known
from anchorloc.metrics.weighted_ap import weighted_scores
from anchorloc.structures import BoolArray, IntArray

FOREGROUND_IOU, BACKGROUND_IOU = 0.5, 0.1  # TIDE's two thresholds
ERROR_TYPES: Final = ("class", "localization", "both", "duplicate", "background", "missed")
CLASS, LOCALIZATION, BOTH, DUPLICATE, BACKGROUND, MISSED = range(6)
NONE = -1


@dataclass(frozen=True, eq=False)
class Errors:
    """The errors of an evaluation at IoU 0.5."""

    types: IntArray  # (D,) index into ERROR_TYPES of each false positive, at any score; NONE of the others
    target_rows: IntArray  # (D,) row of the box of a class or localization error, or -1
    kept: BoolArray  # (D,) whether the detection reaches the score threshold
    missed: BoolArray  # (G,) boxes without a kept true positive, class error or localization error
    counts: IntArray  # (C, 6) at the threshold; a class error counts for the detected class
    ap50: float | None
    gains: tuple[float | None, ...]  # (6,) gain of AP50, over all scores, if errors of the type are fixed

    @property
    def totals(self) -> tuple[int, ...]:
        """Return the counts of all classes together (6,)."""
        return tuple(int(count) for count in self.counts.sum(axis=0))


def find_errors(matched: MatchedDetections, nearest: NearestBoxes, threshold: float | None) -> Errors:
    """Classify the false positives; count the ones of at least the score `threshold`, or all of them if it is None."""
    types = _types(matched, nearest)
    target_rows = np.where(types == LOCALIZATION, nearest.same, np.where(types == CLASS, nearest.other, -1))
    kept = matched.detections.scores >= (-np.inf if threshold is None else threshold)
    missed = _missed(matched, target_rows, kept)
    counts = np.zeros((len(matched.categories), len(ERROR_TYPES)), np.int64)
    wrong = kept & (types != NONE)
    np.add.at(counts, (matched.detections.labels[wrong], types[wrong]), 1)
    counts[:, MISSED] = np.bincount(matched.truth.labels[missed], minlength=len(counts))
    oracle = _Oracle(matched, types, target_rows)
    gains = tuple(oracle.gain(error_type) for error_type in range(len(ERROR_TYPES)))
    return Errors(types, target_rows, kept, missed, counts, oracle.ap50, gains)


def _types(matched: MatchedDetections, nearest: NearestBoxes) -> IntArray:
    types = np.full(len(matched.box_of), BACKGROUND)
    same_is_nearer = nearest.same_iou >= nearest.other_iou
    types[~same_is_nearer & (nearest.other_iou >= BACKGROUND_IOU)] = BOTH
    types[same_is_nearer & (nearest.same_iou >= BACKGROUND_IOU)] = LOCALIZATION
    types[~same_is_nearer & (nearest.other_iou >= FOREGROUND_IOU)] = CLASS
    types[nearest.same_iou >= FOREGROUND_IOU] = DUPLICATE  # if the box were free, it would be a true positive
    types[~matched.counted | matched.is_true_positive] = NONE
    return types


def _missed(matched: MatchedDetections, target_rows: IntArray, kept: BoolArray) -> BoolArray:
    """Return the boxes without a kept true positive, class error or localization error (G,)."""
    missed = matched.countable_boxes.copy()
    for rows in (matched.box_of[kept], target_rows[kept]):
        missed[rows[rows >= 0]] = False
    return missed


@dataclass(frozen=True, eq=False)
class _Oracle:
    """AP50 of the detections after one type of error is fixed."""

    matched: MatchedDetections
    types: IntArray  # (D,)
    target_rows: IntArray  # (D,)

    @cached_property
    def ap50(self) -> float | None:
        return self._score(self.matched.detections.labels, self._states, self.matched.countable_boxes)

    def gain(self, error_type: int) -> float | None:
        """Fix one error type: correct the errors whose box is free, drop the others; return the gain of AP50."""
        if self.ap50 is None:
            return None
        labels, states, boxes = self.matched.detections.labels.copy(), self._states.copy(), self.matched.countable_boxes
        if error_type == MISSED:
            boxes = boxes & ~_missed(self.matched, self.target_rows, np.ones(len(self.types), np.bool_))
        else:
            errors = np.flatnonzero(self.types == error_type)
            states[errors] = IGNORED
            fixed = self._fixable(errors)
            states[fixed], labels[fixed] = TRUE_POSITIVE, self.matched.truth.labels[self.target_rows[fixed]]
        better = self._score(labels, states, boxes)
        return None if better is None else max(0.0, better - self.ap50)

    def _fixable(self, errors: IntArray) -> IntArray:
        """Return the error of highest score for each box that has errors but no true positive."""
        aimed = errors[self.target_rows[errors] >= 0]
        free = aimed[self.matched.detection_of[self.target_rows[aimed]] < 0]
        ranked = free[np.argsort(-self.matched.detections.scores[free], kind="stable")]
        return ranked[np.unique(self.target_rows[ranked], return_index=True)[1]]

    @cached_property
    def _states(self) -> IntArray:  # (D,) by row of the detection table
        states = np.full(len(self.types), IGNORED)
        states[self.matched.match_result.rows] = self.matched.match_result.states[0, 0]
        return states

    def _score(self, labels: IntArray, states: IntArray, boxes: BoolArray) -> float | None:
        """Return AP50 for given labels (D,), states (D,) and boxes to find (G,)."""
        match_result = self.matched.match_result
        rows = match_result.rows
        ranked = rows[np.lexsort((-self.matched.detections.scores[rows], labels[rows]))]
        fixed = replace(
            match_result,
            rows=ranked,
            images=self.matched.detections.images[ranked],
            ranks=np.zeros(len(ranked), np.int64),
            starts=np.searchsorted(labels[ranked], np.arange(match_result.classes + 1)),
            states=states[ranked].astype(np.int8)[None, None],
            countable_boxes=boxes[None],
        )
        return mean_of_known(weighted_scores(fixed).ap)
