"""Assignment by the statistics of the nearest anchors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from anchorloc.assign.grid_tables import boxes_and_crowd, shape_grids
from anchorloc.assign.max_iou import crowd_anchors
from anchorloc.structures import AnchorGrid, Assignment


@dataclass(frozen=True)
class ATSSAssigner:
    """Adaptive Training Sample Selection (Zhang et al., Bridging the Gap Between Anchor-based and Anchor-free
    Detection, 2020, algorithm 1).

    The candidates of a box are, level by level, all anchors of the `topk` cells whose centers are nearest to
    the box's (squared distance, then index; fewer where the level is smaller). Those are positive whose IoU is above
    0 and at least the mean plus the unbiased standard deviation of all candidates' IoU (float64 over float32 IoU; of
    a single candidate 0) and whose cell center lies inside the box by more than 0.01 px. An anchor that several
    boxes claim learns the one of greatest IoU, of equals the lower row.

    Crowd boxes: as in `MaxIoUAssigner`. No rescue: a box without a positive is listed as unassigned.

    Args:
        topk: cells per level, at least 1.
    """

    topk: int = 9  # cells per level whose anchors are candidates for a box

    def __post_init__(self) -> None:
        if not isinstance(self.topk, int | np.integer) or self.topk < 1:
            raise ValueError(f"topk must be a whole number of at least 1, got {self.topk!r}")

    def __call__(self, grid: AnchorGrid, boxes: ArrayLike, crowd: ArrayLike | None = None) -> Assignment:
        """Assign the anchors of one image to its boxes, (M, 4) xyxy pixels, of which `crowd` (M,) are groups.

        Raises:
            ValueError: a box is not finite or of negative size, or `crowd` is of another length.
        """
        from anchorloc.assign import atss_kernels as kernels
        from anchorloc.assign.nearest_kernels import nearest_cells
        from anchorloc.boxes.order_kernels import sort_by_upper_half

        rows, groups = boxes_and_crowd(boxes, crowd)
        edges, grids = shape_grids(grid)
        most = int(((grids["bottom"] - grids["top"]) * (grids["right"] - grids["left"])).max())
        cells = np.empty((len(rows), len(grid.levels), min(self.topk, most)), np.int64)
        exact = rows.astype(np.float64)
        nearest_cells((exact[:, :2] + exact[:, 2:]) / 2, grids, cells)
        claims, owners, overlaps = kernels.claim(edges, grids, rows, groups, cells)
        anchors, matched, unassigned = kernels.settle(sort_by_upper_half(claims), owners, overlaps, groups)
        ignored = np.empty(0, np.int64)
        if groups.any():
            ignored = np.setdiff1d(crowd_anchors(grid, rows[groups]), anchors, assume_unique=True)
        return Assignment(anchors, matched, ignored, len(grid), unassigned)
