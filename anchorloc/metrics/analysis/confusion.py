"""Which class is taken for which."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from anchorloc.metrics.analysis.errors import CLASS, NONE, Errors
from anchorloc.metrics.analysis.matched import Case
from anchorloc.structures import IntArray


@dataclass(frozen=True, eq=False)
class Confusion:
    """Boxes by what is found there, at IoU 0.5 and the score threshold."""

    matrix: IntArray  # (C + 1, C + 1): rows true classes, the last nothing; columns detected ones, the last missed

    def pairs(self) -> Iterator[tuple[int, int, int]]:
        """Yield (true, detected, count) of what is taken for another class, the most frequent first."""
        inner = self.matrix[:-1, :-1].copy()
        np.fill_diagonal(inner, 0)
        for place in np.argsort(-inner, axis=None, kind="stable").tolist():
            true, detected = divmod(place, inner.shape[1])
            if not inner[true, detected]:
                return
            yield true, detected, int(inner[true, detected])


def confusion(case: Case, errors: Errors) -> Confusion:
    """Count each box and each kept detection once: what finds a box first, then errors of class on boxes not found."""
    classes, labels = len(case.categories), case.detections.labels
    matrix = np.zeros((classes + 1, classes + 1), np.int64)
    right = np.flatnonzero(errors.kept & (case.matched >= 0))
    np.add.at(matrix, (labels[right], labels[right]), 1)
    open_boxes = case.to_find.copy()
    open_boxes[case.matched[right]] = False
    rows = np.flatnonzero(errors.kept & (errors.kinds == CLASS))
    rows = rows[open_boxes[errors.meant[rows]]]
    rows = rows[np.argsort(-case.detections.scores[rows], kind="stable")]
    rows = rows[np.unique(errors.meant[rows], return_index=True)[1]]
    np.add.at(matrix, (case.truth.labels[errors.meant[rows]], labels[rows]), 1)
    open_boxes[errors.meant[rows]] = False
    matrix[:-1, -1] = np.bincount(case.truth.labels[open_boxes], minlength=classes)
    alone = errors.kept & (errors.kinds != NONE)
    alone[rows] = False
    matrix[-1, :-1] = np.bincount(labels[alone], minlength=classes)
    return Confusion(matrix)
