"""The best anchor of every box, whatever an assigner makes of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anchorloc.assign.grid_tables import lattices_of
from anchorloc.assign.inputs import boxes_and_crowd
from anchorloc.assign.workspace import scratch
from anchorloc.structures import AnchorGrid, IntArray


def best_anchors(grid: AnchorGrid, boxes: ArrayLike) -> tuple[NDArray[np.float32], IntArray]:
    """Return the greatest IoU (M,) that any anchor has with each of `boxes` (M, 4), and the number (M,) of that anchor.

    Of equal IoUs the anchor counts whose cell center is nearest to the box's, then the lowest number. A box that no
    anchor overlaps has 0 and -1. Memory is that of the boxes; no anchors × boxes matrix is made.

    Raises:
        ValueError: a box is not finite or of negative size.
    """
    from anchorloc.assign import max_iou_kernels as kernels

    rows, _ = boxes_and_crowd(boxes, None)
    iou, anchors = np.empty(len(rows), np.float32), np.empty(len(rows), np.int64)
    kernels.best_anchors(*lattices_of(grid), rows, kernels.ZERO, scratch(len(grid))[0], iou, anchors)
    return iou, anchors
