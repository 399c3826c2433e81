"""Assign the one object of an image to its one anchor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from anchorloc.assign.grid_tables import boxes_and_crowd
from anchorloc.structures import AnchorGrid, Assignment


@dataclass(frozen=True)
class SingleObjectAssigner:
    """Assign the first box that is not a crowd to anchor 0, whatever their IoU."""

    def __call__(self, grid: AnchorGrid, boxes: ArrayLike, crowd: ArrayLike | None = None) -> Assignment:
        """Assign the boxes of one image, (M, 4) xyxy pixels, of which `crowd` (M,) are groups.

        Raises:
            ValueError: a box is not finite or of negative size, or `crowd` is of another length.
        """
        _, groups = boxes_and_crowd(boxes, crowd)
        rows = np.flatnonzero(~groups)
        anchors = np.zeros(min(1, len(rows)), np.int64)
        return Assignment(anchors, rows[:1], np.zeros(0, np.int64), len(grid), rows[1:])
