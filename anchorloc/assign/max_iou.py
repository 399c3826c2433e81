"""Assignment by IoU thresholds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from anchorloc.assign.grid_tables import lattices_of
from anchorloc.assign.inputs import boxes_and_crowd
from anchorloc.assign.workspace import scratch
from anchorloc.structures import AnchorGrid, Assignment

LEAST_FLOAT32 = 2.0**-149  # half of it rounds to 0


@dataclass(frozen=True)
class MaxIoUAssigner:
    """Give each anchor the box it overlaps most, where that is enough (Ren et al., Faster R-CNN, 2015, section 3.1.2).

    An anchor whose greatest IoU is at least `positive_iou` learns that box (of equals the lower row); below
    `negative_iou` it is background; between them it learns nothing. A positive never has IoU 0. IoU is float32 in
    torchvision's order of operations, and the thresholds are cast to float32.

    Rescue: every box left without a positive gets, by descending best IoU, then row, its best anchor of IoU at least
    `rescue_iou` that is not the only positive of another box. The best anchor of a box has the greatest IoU, then
    the smallest squared distance of cell center to box center, then the lowest index.

    Anchors of the background of which at least half lies in a crowd box learn nothing; a crowd box makes no positive.

    Args:
        positive_iou: above 0, at most 1.
        negative_iou: at most `positive_iou`.
        rescue_iou: between 0 and 1, or None for no rescue.
    """

    positive_iou: float = 0.5
    negative_iou: float = 0.4
    rescue_iou: float | None = None

    def __post_init__(self) -> None:
        if not (0 <= self.negative_iou <= self.positive_iou <= 1 and self.positive_iou > 0):
            raise ValueError(
                "need 0 <= negative_iou <= positive_iou <= 1 and positive_iou above 0, "
                f"got {self.negative_iou} and {self.positive_iou}"
            )
        if self.rescue_iou is not None and not 0 <= self.rescue_iou <= 1:
            raise ValueError(f"rescue_iou must be between 0 and 1, or None for no rescue, got {self.rescue_iou}")

    def __call__(self, grid: AnchorGrid, boxes: ArrayLike, crowd: ArrayLike | None = None) -> Assignment:
        """Assign the anchors of one image to its boxes, (M, 4) xyxy pixels, of which `crowd` (M,) are groups.

        Raises:
            ValueError: a box is not finite or of negative size, or `crowd` is of another length.
        """
        from anchorloc.assign import max_iou_kernels as kernels

        rows, groups = boxes_and_crowd(boxes, crowd)
        count = len(grid)
        positive, negative = float(self.positive_iou), float(self.negative_iou)
        rescue = -1.0 if self.rescue_iou is None else float(self.rescue_iou)
        found = kernels.max_iou(*lattices_of(grid), rows, groups, positive, negative, rescue, *scratch(count))
        anchors, matched, ignored, unassigned = found
        if negative <= LEAST_FLOAT32 / 2 and not groups.all():  # nothing is below 0, so nothing is background
            ignored = np.setdiff1d(np.arange(count), anchors, assume_unique=True)
        return Assignment(anchors, matched, ignored, count, unassigned)
