"""Loops of non-maximum suppression. Boxes come as tables (x1, y1, x2, y2, area), as in `overlap_kernels`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .jit import kernel

Table = NDArray[Any]  # (5, N)
ZERO = np.float32(0)
BLOCK = 64  # kept boxes compared before asking whether one of them suppresses


@kernel
def pair_iou(boxes: Table, i: int, others: Table, j: int) -> Any:
    """IoU of column i of one table with column j of another, in the order of operations of `overlap_kernels`."""
    left = others[0, j] if others[0, j] > boxes[0, i] else boxes[0, i]
    top = others[1, j] if others[1, j] > boxes[1, i] else boxes[1, i]
    right = others[2, j] if others[2, j] < boxes[2, i] else boxes[2, i]
    bottom = others[3, j] if others[3, j] < boxes[3, i] else boxes[3, i]
    inter = (right - left if right > left else ZERO) * (bottom - top if bottom > top else ZERO)
    union = boxes[4, i] + others[4, j] - inter
    return inter / union if union > ZERO else ZERO


@kernel
def suppressed(boxes: Table, i: int, kept: Table, count: int, threshold: Any) -> bool:
    """Whether one of the first `count` kept boxes overlaps box i by more than the threshold."""
    for start in range(0, count, BLOCK):
        hits = 0
        for k in range(start, min(start + BLOCK, count)):
            hits += pair_iou(boxes, i, kept, k) > threshold
        if hits > 0:
            return True
    return False


@kernel
def nms(boxes: Table, bounds: NDArray[np.int64], threshold: Any, keep: NDArray[np.bool_]) -> None:
    """Mark the boxes that stay. Boxes are sorted by descending score within each group; group g is the columns
    bounds[g] to bounds[g + 1], and groups do not touch each other."""
    kept = np.empty_like(boxes)
    for group in range(len(bounds) - 1):
        count = 0
        for i in range(bounds[group], bounds[group + 1]):
            keep[i] = not suppressed(boxes, i, kept, count, threshold)
            if keep[i]:
                kept[:, count] = boxes[:, i]
                count += 1


@kernel
def soft_nms(boxes: Table, scores: NDArray[Any], decay: float, lowest: float, keep: NDArray[np.int64]) -> int:
    """Write the boxes into `keep` in the order in which they are taken, lower their scores in place, and return how
    many were taken."""
    left = np.ones(len(scores), np.bool_)
    for taken in range(len(scores)):
        best = -1
        for i in range(len(scores)):
            if left[i] and scores[i] > lowest and (best < 0 or scores[i] > scores[best]):
                best = i
        if best < 0:
            return taken
        keep[taken], left[best] = best, False
        for i in range(len(scores)):
            if left[i]:
                overlap = pair_iou(boxes, best, boxes, i)
                scores[i] *= np.exp(-decay * overlap * overlap)
    return len(scores)
