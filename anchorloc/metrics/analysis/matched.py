"""What every part of an analysis starts from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from anchorloc.metrics.box_tables import DetectionTable, TruthTable
from anchorloc.metrics.match_kernels import ASIDE, RIGHT
from anchorloc.metrics.matching import Outcomes
from anchorloc.structures import BoolArray, Category, IntArray


@dataclass(frozen=True, eq=False)
class Case:
    """The tables of an evaluation and what became of each detection at IoU 0.5."""

    truth: TruthTable
    detections: DetectionTable
    outcomes: Outcomes  # in the slices of `coco_slices`
    order: tuple[int, ...]  # of the images, for equal scores
    categories: tuple[Category, ...]

    @property
    def images(self) -> int:
        """N."""
        return self.outcomes.image_count

    @cached_property
    def matched(self) -> IntArray:
        """(D,) the row of the box that each detection finds, or -1."""
        return self._by_row(np.where(self.outcomes.states[0, 0] == RIGHT, self.outcomes.matches[0], -1), -1)

    @cached_property
    def counts(self) -> BoolArray:
        """(D,) the detections that are right or wrong: not on a crowd box, not past the limit."""
        return self._by_row(self.outcomes.states[0, 0] != ASIDE, 0).astype(np.bool_)

    @cached_property
    def to_find(self) -> BoolArray:
        """(G,) the boxes that are no crowd."""
        return ~self.truth.crowd

    @cached_property
    def found_by(self) -> IntArray:
        """(G,) the row of the detection that finds each box, or -1."""
        rows = np.flatnonzero(self.matched >= 0)
        found = np.full(len(self.truth.images), -1)
        found[self.matched[rows]] = rows
        return found

    def _by_row(self, values: IntArray | BoolArray, rest: int) -> IntArray:
        """Put the values of the outcomes at the rows of their detections."""
        rows = np.full(len(self.detections.scores), rest)
        rows[self.outcomes.rows] = values
        return rows
