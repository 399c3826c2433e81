"""The confusion matrix of a detector."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from anchorloc.metrics.analysis.error_types import CLASS, NONE, Errors
from anchorloc.metrics.analysis.matched import MatchedDetections
from anchorloc.structures import IntArray


@dataclass(frozen=True, eq=False)
class Confusion:
    """Boxes by true and detected class, at IoU 0.5 and the score threshold: the P pairs that occur.

    Class C stands for the background among the true classes, and for a missed box among the detected ones.
    """

    classes: int  # C
    true: IntArray  # (P,) ascending
    detected: IntArray  # (P,) ascending within a true class
    counts: IntArray  # (P,) from 1

    @property
    def matrix(self) -> IntArray:
        """Return the counts as a matrix (C + 1, C + 1), which takes 800 MB for 10,000 classes."""
        matrix = np.zeros((self.classes + 1, self.classes + 1), np.int64)
        matrix[self.true, self.detected] = self.counts
        return matrix

    @property
    def boxes(self) -> IntArray:
        """Count the boxes of each true class, and last the detections of background (C + 1,)."""
        return np.bincount(self.true, self.counts, self.classes + 1).astype(np.int64)

    def pairs(self) -> Iterator[tuple[int, int, int]]:
        """Yield (true, detected, count) of each confused pair of classes, the most frequent first."""
        confused = (self.true != self.detected) & (self.true < self.classes) & (self.detected < self.classes)
        true, detected, counts = self.true[confused], self.detected[confused], self.counts[confused]
        order = np.argsort(-counts, kind="stable")
        yield from zip(true[order].tolist(), detected[order].tolist(), counts[order].tolist(), strict=True)


def confusion(matched: MatchedDetections, errors: Errors) -> Confusion:
    """Count each box and each kept detection once: true positives first, then class errors on boxes still open."""
    classes, labels, truth = len(matched.categories), matched.detections.labels, matched.truth.labels
    hits = np.flatnonzero(errors.kept & matched.is_true_positive)
    open_boxes = matched.countable_boxes.copy()
    open_boxes[matched.box_of[hits]] = False
    rows = np.flatnonzero(errors.kept & (errors.types == CLASS))
    rows = rows[open_boxes[errors.target_rows[rows]]]
    rows = rows[np.argsort(-matched.detections.scores[rows], kind="stable")]
    rows = rows[np.unique(errors.target_rows[rows], return_index=True)[1]]  # the highest score for each box
    open_boxes[errors.target_rows[rows]] = False
    background = errors.kept & (errors.types != NONE)
    background[rows] = False
    missed, strays = truth[open_boxes], labels[background]
    true = np.concatenate([labels[hits], truth[errors.target_rows[rows]], missed, np.full(len(strays), classes)])
    detected = np.concatenate([labels[hits], labels[rows], np.full(len(missed), classes), strays])
    keys, counts = np.unique(true * (classes + 1) + detected, return_counts=True)
    return Confusion(classes, *np.divmod(keys, classes + 1), counts)
