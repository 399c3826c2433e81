"""Assignment by IoU thresholds."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anchorloc.assign.grid_tables import boxes_and_crowd, shape_grids
from anchorloc.structures import AnchorGrid, Assignment, IntArray

MIN_FLOAT32 = 2.0**-149  # half of it rounds to 0


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

    positive_iou: float = 0.5  # minimum IoU of a positive anchor
    negative_iou: float = 0.4  # anchors of lower IoU are background; those in between are ignored
    rescue_iou: float | None = None  # minimum IoU of the best anchor of a box without a positive; null: no rescue

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
        found = kernels.max_iou(*shape_grids(grid), rows, groups, positive, negative, rescue, *workspace(count))
        anchors, matched, ignored, unassigned = found
        if negative <= MIN_FLOAT32 / 2 and not groups.all():  # nothing is below 0, so nothing is background
            ignored = np.setdiff1d(np.arange(count), anchors, assume_unique=True)
        return Assignment(anchors, matched, ignored, count, unassigned)


def crowd_anchors(grid: AnchorGrid, crowds: ArrayLike) -> IntArray:
    """Return the anchors (K,) that crowd boxes (M, 4) cover by at least half: an assigner ignores the negatives among
    them."""
    return MaxIoUAssigner()(grid, crowds, np.ones(len(np.asarray(crowds)), np.bool_)).ignored


def best_anchors(grid: AnchorGrid, boxes: ArrayLike) -> tuple[NDArray[np.float32], IntArray]:
    """Return the greatest IoU (M,) that any anchor has with each of `boxes` (M, 4), and the number (M,) of that anchor.

    Of equal IoUs the anchor counts whose cell center is nearest to the box's, then the lowest number. A box that no
    anchor overlaps has 0 and -1. Memory grows with the boxes; no anchors × boxes matrix is made.

    Raises:
        ValueError: a box is not finite or of negative size.
    """
    from anchorloc.assign import max_iou_kernels as kernels

    rows, _ = boxes_and_crowd(boxes, None)
    iou, anchors = np.empty(len(rows), np.float32), np.empty(len(rows), np.int64)
    kernels.best_anchors(*shape_grids(grid), rows, kernels.ZERO, workspace(len(grid))[0], iou, anchors)
    return iou, anchors


class _Workspace(threading.local):
    """Arrays of the kernels, all zero between calls. np.zeros gets memory page by page when it is written, so a large
    grid costs only the anchors that boxes touch."""

    def __init__(self) -> None:
        self.arrays = _zeros(0)


def _zeros(count: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.bool_]]:
    pages = (count + 4095) // 4096
    return np.zeros(count, np.uint64), np.zeros(64 * pages, np.uint64), np.zeros(pages, np.bool_)


_workspace = _Workspace()


def workspace(count: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.bool_]]:
    """Return the arrays of this thread for at least `count` anchors: a claim and a bit each, and a flag per 4096."""
    if len(_workspace.arrays[0]) < count:
        _workspace.arrays = _zeros(count)
    return _workspace.arrays
