"""How much each box overlaps another box of its image, and whether the border of the image cuts it."""

from __future__ import annotations

import numpy as np

from anchorloc.boxes import box_iou
from anchorloc.metrics.analysis.slices import BORDER
from anchorloc.structures import BoolArray, Extent, Float64Array, FloatArray

PAIRS_AT_ONCE = 4_000_000  # 32 MB of overlaps


def neighbor_ious(boxes: FloatArray) -> Float64Array:
    """Return the greatest IoU of each box (N, 4) with another one (N,); 0 for a box alone."""
    greatest = np.zeros(len(boxes))
    step = max(1, PAIRS_AT_ONCE // max(1, len(boxes)))
    for start in range(0, len(boxes), step):
        overlaps = box_iou(boxes[start : start + step], boxes)
        rows = np.arange(len(overlaps))
        overlaps[rows, start + rows] = 0
        greatest[start : start + step] = overlaps.max(axis=1)
    return greatest


def cut_by_border(boxes: FloatArray, extent: Extent, scale: tuple[float, float]) -> BoolArray:
    """Return which boxes (N, 4) come as near to the border as the evaluation takes for cut (N,).

    Args:
        boxes: in network pixels.
        extent: the part of the network's image that shows the image.
        scale: (vertical, horizontal) network pixels per image pixel.
    """
    top, left, bottom, right = extent
    near = BORDER * np.array([scale[1], scale[0]])
    low, high = np.array([left, top]) + near, np.array([right, bottom]) - near
    return np.asarray((boxes[:, :2] <= low).any(axis=1) | (boxes[:, 2:] >= high).any(axis=1))
