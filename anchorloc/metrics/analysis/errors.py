"""What kind of error each wrong detection is, and what AP50 would be without errors of that kind.

After TIDE (Bolya et al., ECCV 2020), but that the box a detection overlaps most decides.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np

from anchorloc.metrics.analysis.matched import Case
from anchorloc.metrics.analysis.nearest import Nearest
from anchorloc.metrics.box_tables import Float64Array
from anchorloc.metrics.match_kernels import ASIDE, RIGHT
from anchorloc.metrics.weighted_ap import weighted_curves
from anchorloc.structures import BoolArray, IntArray

FOUND, NEAR = 0.5, 0.1  # IoU: from the first on a box is found, below the second nothing is there
KINDS: Final = ("class", "localization", "both", "duplicate", "background", "missed")
CLASS, LOCALIZATION, BOTH, DUPLICATE, BACKGROUND, MISSED = range(6)
NONE = -1


@dataclass(frozen=True, eq=False)
class Errors:
    """The errors of an evaluation at IoU 0.5."""

    kinds: IntArray  # (D,) place in KINDS of a wrong detection, of any score; NONE of the others
    meant: IntArray  # (D,) the box that an error of class or localization is about, or -1
    kept: BoolArray  # (D,) whether the detection is at or above the score threshold
    missed: BoolArray  # (G,) boxes that no kept detection finds or is about
    counts: IntArray  # (C, 6) at the threshold; an error of class is counted for the class detected
    ap50: float | None
    gains: tuple[float | None, ...]  # (6,) of AP50, over all scores, if the kind did not occur

    @property
    def totals(self) -> tuple[int, ...]:
        """(6,) over all classes."""
        return tuple(int(count) for count in self.counts.sum(axis=0))


def find_errors(case: Case, near: Nearest, threshold: float | None) -> Errors:
    """Sort the wrong detections; count those of at least the score `threshold`, or all."""
    kinds = _kinds(case, near)
    meant = np.where(kinds == LOCALIZATION, near.same, np.where(kinds == CLASS, near.other, -1))
    kept = case.detections.scores >= (-np.inf if threshold is None else threshold)
    missed = _missed(case, meant, kept)
    counts = np.zeros((len(case.categories), len(KINDS)), np.int64)
    wrong = kept & (kinds != NONE)
    np.add.at(counts, (case.detections.labels[wrong], kinds[wrong]), 1)
    counts[:, MISSED] = np.bincount(case.truth.labels[missed], minlength=len(counts))
    trial = _Trial(case, kinds, meant)
    return Errors(kinds, meant, kept, missed, counts, trial.ap50, tuple(trial.gain(kind) for kind in range(len(KINDS))))


def _kinds(case: Case, near: Nearest) -> IntArray:
    kinds = np.full(len(case.matched), BACKGROUND)
    closer = near.same_iou >= near.other_iou
    kinds[~closer & (near.other_iou >= NEAR)] = BOTH
    kinds[closer & (near.same_iou >= NEAR)] = LOCALIZATION
    kinds[~closer & (near.other_iou >= FOUND)] = CLASS
    kinds[near.same_iou >= FOUND] = DUPLICATE  # a box that is still free would have been found
    kinds[~case.counts | (case.matched >= 0)] = NONE
    return kinds


def _missed(case: Case, meant: IntArray, kept: BoolArray) -> BoolArray:
    """Boxes that no kept detection finds or is about."""
    missed = case.to_find.copy()
    for rows in (case.matched[kept], meant[kept]):
        missed[rows[rows >= 0]] = False
    return missed


@dataclass(frozen=True, eq=False)
class _Trial:
    """AP50 of detections that are better than they were."""

    case: Case
    kinds: IntArray
    meant: IntArray

    @cached_property
    def ap50(self) -> float | None:
        """As they are."""
        return self._score(self.case.detections.labels, self._states, self.case.to_find)

    def gain(self, kind: int) -> float | None:
        """With one kind of error mended: moved or renamed where its box is free, else left out."""
        if self.ap50 is None:
            return None
        labels, states, boxes = self.case.detections.labels.copy(), self._states.copy(), self.case.to_find
        if kind == MISSED:
            boxes = boxes & ~_missed(self.case, self.meant, np.ones(len(self.kinds), np.bool_))
        else:
            rows = np.flatnonzero(self.kinds == kind)
            states[rows] = ASIDE
            rows = rows[self.meant[rows] >= 0]
            rows = rows[self.case.found_by[self.meant[rows]] < 0]
            rows = rows[np.argsort(-self.case.detections.scores[rows], kind="stable")]
            rows = rows[np.unique(self.meant[rows], return_index=True)[1]]  # the surest of each box
            states[rows], labels[rows] = RIGHT, self.case.truth.labels[self.meant[rows]]
        better = self._score(labels, states, boxes)
        return None if better is None else max(0.0, better - self.ap50)

    @cached_property
    def _states(self) -> IntArray:
        states = np.full(len(self.kinds), ASIDE)
        states[self.case.outcomes.rows] = self.case.outcomes.states[0, 0]
        return states

    def _score(self, labels: IntArray, states: IntArray, boxes: BoolArray) -> float | None:
        outcomes = self.case.outcomes
        rows = outcomes.rows
        ranked = rows[np.lexsort((-self.case.detections.scores[rows], labels[rows]))]
        trial = replace(
            outcomes,
            rows=ranked,
            images=self.case.detections.images[ranked],
            ranks=np.zeros(len(ranked), np.int64),
            starts=np.searchsorted(labels[ranked], np.arange(outcomes.classes + 1)),
            states=states[ranked].astype(np.int8)[None, None],
            wanted=boxes[None],
        )
        return known_mean(weighted_curves(trial).ap)


def known_mean(values: Float64Array) -> float | None:
    """The mean of what is not -1, or None."""
    known = values[values > -1]
    return float(known.mean()) if len(known) else None
