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
    """Boxes by true and detected class, at IoU 0.5 and the score threshold."""

    matrix: IntArray  # (C + 1, C + 1): rows are true classes, the last background; columns detected, the last missed

    def pairs(self) -> Iterator[tuple[int, int, int]]:
        """Yield (true, detected, count) of each confused pair of classes, the most frequent first."""
        inner = self.matrix[:-1, :-1].copy()
        np.fill_diagonal(inner, 0)
        for place in np.argsort(-inner, axis=None, kind="stable").tolist():
            true, detected = divmod(place, inner.shape[1])
            if not inner[true, detected]:
                return
            yield true, detected, int(inner[true, detected])


def confusion(matched: MatchedDetections, errors: Errors) -> Confusion:
    """Count each box and each kept detection once: true positives first, then class errors on boxes still open."""
    classes, labels = len(matched.categories), matched.detections.labels
    matrix = np.zeros((classes + 1, classes + 1), np.int64)
    hits = np.flatnonzero(errors.kept & matched.is_true_positive)
    np.add.at(matrix, (labels[hits], labels[hits]), 1)
    open_boxes = matched.countable_boxes.copy()
    open_boxes[matched.box_of[hits]] = False
    rows = np.flatnonzero(errors.kept & (errors.types == CLASS))
    rows = rows[open_boxes[errors.target_rows[rows]]]
    rows = rows[np.argsort(-matched.detections.scores[rows], kind="stable")]
    rows = rows[np.unique(errors.target_rows[rows], return_index=True)[1]]  # the highest score for each box
    np.add.at(matrix, (matched.truth.labels[errors.target_rows[rows]], labels[rows]), 1)
    open_boxes[errors.target_rows[rows]] = False
    matrix[:-1, -1] = np.bincount(matched.truth.labels[open_boxes], minlength=classes)
    background = errors.kept & (errors.types != NONE)
    background[rows] = False
    matrix[-1, :-1] = np.bincount(labels[background], minlength=classes)
    return Confusion(matrix)
