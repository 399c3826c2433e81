"""Assign anchors to boxes as task alignment does before the network has learned anything, without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anchorloc.assign import centers_inside
from anchorloc.boxes import paired_box_iou
from anchorloc.structures import AnchorGrid, Assignment, BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from anchorloc.detector.task_aligned_settings import TaskAlignedAssigner


def assign_untrained(
    settings: TaskAlignedAssigner, grid: AnchorGrid, boxes: FloatArray, crowd: BoolArray
) -> Assignment:
    """Return the assignment to boxes (M, 4) while all scores are equal and every decoded box is its anchor.

    Letters: Q pairs of a box and an anchor with its center in it, T of them among the best of their box.
    """
    usable = np.flatnonzero(~crowd)
    pair_box, pair_anchor = centers_inside(grid, boxes[usable].astype(np.float32))  # (Q,) each
    iou = paired_box_iou(grid.boxes[pair_anchor], boxes[usable[pair_box]].astype(np.float32))  # (Q,)
    metric = iou**settings.beta
    best_of_box = _best(metric, pair_box, settings.topk)  # (T,) places among the Q pairs
    best_of_box = best_of_box[(metric * iou)[best_of_box] > 0]  # no positive without overlap
    kept = best_of_box[_best(iou[best_of_box], pair_anchor[best_of_box], 1)]
    anchors, rows = pair_anchor[kept], usable[pair_box[kept]]
    ignored = settings.initial(grid, boxes, crowd).ignored
    return Assignment(
        anchors=anchors,
        rows=rows,
        ignored=ignored[~np.isin(ignored, anchors)],
        count=len(grid),
        unassigned=np.setdiff1d(usable, rows),
    )


def _best(values: FloatArray, groups: IntArray, count: int) -> IntArray:
    """Return the places of the `count` greatest values of each group, by ascending group."""
    order = np.lexsort((-values, groups))
    sorted_groups = groups[order]
    rank = np.arange(len(order)) - np.searchsorted(sorted_groups, sorted_groups)
    return order[rank < count]
