"""The input of every part of an analysis: boxes and detections, matched at IoU 0.5."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from anchorloc.metrics.box_tables import DetectionTable, TruthTable
from anchorloc.metrics.match_kernels import IGNORED, TRUE_POSITIVE
from anchorloc.metrics.matching import MatchGroups, MatchResult
from anchorloc.structures import BoolArray, Category, IntArray


@dataclass(frozen=True, eq=False)
class MatchedDetections:
    """The tables of an evaluation, and the match of each detection at IoU 0.5."""

    truth: TruthTable
    detections: DetectionTable
    groups: MatchGroups  # to match again in other slices
    match_result: MatchResult  # in the slices of `coco_slices`
    image_order: tuple[int, ...]  # ranks equal scores of different images
    categories: tuple[Category, ...]

    @property
    def images(self) -> int:  # N
        return self.match_result.image_count

    @cached_property
    def box_of(self) -> IntArray:
        """Return the row of the box that each detection matches as a true positive, or -1 (D,)."""
        return self._by_row(
            np.where(self.match_result.states[0, 0] == TRUE_POSITIVE, self.match_result.matches[0], -1), -1
        )

    @cached_property
    def is_true_positive(self) -> BoolArray:  # (D,)
        return self.box_of >= 0

    @cached_property
    def counted(self) -> BoolArray:
        """Return which detections are true or false positives, so neither ignored nor past the limit (D,)."""
        return self._by_row(self.match_result.states[0, 0] != IGNORED, 0).astype(np.bool_)

    @cached_property
    def countable_boxes(self) -> BoolArray:
        """Return which boxes are not crowd boxes (G,)."""
        return ~self.truth.crowd

    @cached_property
    def detection_of(self) -> IntArray:
        """Return the row of the detection that matches each box, or -1 (G,)."""
        rows = np.flatnonzero(self.is_true_positive)
        found = np.full(len(self.truth.images), -1)
        found[self.box_of[rows]] = rows
        return found

    def _by_row(self, values: IntArray | BoolArray, rest: int) -> IntArray:
        """Scatter the values of the match_result to the rows of the detection table."""
        rows = np.full(len(self.detections.scores), rest)
        rows[self.match_result.rows] = values
        return rows
