"""The loop of soft non-maximum suppression, over a table of boxes (x1, y1, x2, y2, area)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .jit import kernel

Table = NDArray[Any]  # (5, N)
ZERO = np.float32(0)  # takes the type of its partner


@kernel
def soft_nms(boxes: Table, scores: NDArray[Any], decay: float, lowest: float, keep: NDArray[np.int64]) -> int:
    """Write the boxes into `keep` in the order in which they are taken, lower `scores` in place, and return how many
    were taken."""
    left = np.ones(len(scores), np.bool_)
    for taken in range(len(scores)):
        best = highest(scores, left)
        if not scores[best] > lowest:
            return taken
        keep[taken], left[best] = best, False
        for i in range(len(scores)):
            if left[i]:
                overlap = pair_iou(boxes, best, i)
                scores[i] *= np.exp(-decay * overlap * overlap)
    return len(scores)


@kernel
def highest(scores: NDArray[Any], left: NDArray[np.bool_]) -> int:
    """The first of the highest scores among those left; at least one must be."""
    best = -1
    for i in range(len(scores)):
        if left[i] and (best < 0 or scores[i] > scores[best]):
            best = i
    return best


@kernel
def pair_iou(boxes: Table, i: int, j: int) -> Any:
    """IoU of two columns, in the order of operations of `overlap_kernels`."""
    width = min(boxes[2, i], boxes[2, j]) - max(boxes[0, i], boxes[0, j])
    height = min(boxes[3, i], boxes[3, j]) - max(boxes[1, i], boxes[1, j])
    inter = max(width, ZERO) * max(height, ZERO)
    union = boxes[4, i] + boxes[4, j] - inter
    return inter / union if union > ZERO else ZERO
