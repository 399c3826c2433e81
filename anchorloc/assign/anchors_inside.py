"""Find the anchors whose centers lie inside boxes."""

from __future__ import annotations

import numpy as np

from anchorloc.structures import AnchorGrid, FloatArray, IntArray


def centers_inside(grid: AnchorGrid, boxes: FloatArray) -> tuple[IntArray, IntArray]:
    """Return (rows, anchors), (P,) each, of all pairs of a box (M, 4) and an anchor with its center strictly inside.

    The pairs are sorted. The center of an anchor is the middle of its own edges, on every level. Boxes are not checked.
    The centers inside a box form a window of cells, so no boxes × anchors matrix is made.
    """
    found = [(np.zeros(0, np.int64), np.zeros(0, np.int64))]
    start = 0
    for level, (first_row, first_column, end_row, end_column) in zip(grid.levels, grid.cells, strict=True):
        for shape in range(level.shapes):
            xs, ys = (level.x1[shape] + level.x2[shape]) / 2, (level.y1[shape] + level.y2[shape]) / 2  # (W,), (H,)
            left = np.maximum(np.searchsorted(xs, boxes[:, 0], "right"), first_column)
            top = np.maximum(np.searchsorted(ys, boxes[:, 1], "right"), first_row)
            wide = np.maximum(np.minimum(np.searchsorted(xs, boxes[:, 2], "left"), end_column) - left, 0)
            high = np.maximum(np.minimum(np.searchsorted(ys, boxes[:, 3], "left"), end_row) - top, 0)
            count = wide * high
            rows = np.repeat(np.arange(len(boxes)), count)
            place = np.arange(len(rows)) - (np.cumsum(count) - count)[rows]  # in the window of its box
            cells = (top[rows] + place // wide[rows]) * len(xs) + left[rows] + place % wide[rows]
            found.append((rows, start + cells * level.shapes + shape))
        start += len(level)
    rows, anchors = (np.concatenate(side) for side in zip(*found, strict=True))
    order = np.lexsort((anchors, rows))
    return rows[order], anchors[order]
