"""The loops of ATSSAssigner, over the tables of `anchorloc.assign.grid_tables`. Nothing is checked here.

edges: (E,) float32. grids: (S,) SHAPE_GRID. boxes: (M, 4) float32. crowd: (M,) bool. cells: (M, L, N) int64, the
nearest cells of each box and level.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from anchorloc.boxes.jit import kernel

ZERO = np.float32(0)
INSIDE = 0.01  # pixels
HALF, LOWER = np.uint64(32), np.uint64(0xFFFFFFFF)


@kernel
def claim(edges: Any, grids: Any, boxes: Any, crowd: Any, cells: Any) -> tuple[Any, Any, Any]:
    """Let each box claim among the anchors of `cells` (M, L, N), -1 where a level has fewer. Return the claims, each an
    anchor and the claim's number in one integer, and by number the box and the IoU."""
    most = len(grids) * cells.shape[2]  # candidates of a box
    anchors, values = np.empty(most, np.int64), np.empty(most, np.float32)
    claims, rows = np.empty(most * len(boxes), np.uint64), np.empty(most * len(boxes), np.int64)
    overlaps = np.empty(most * len(boxes), np.float32)
    count = 0
    for row in range(len(boxes)):
        if not crowd[row]:
            box = boxes[row, 0], boxes[row, 1], boxes[row, 2], boxes[row, 3]
            found = list_candidates(edges, grids, box, cells[row], anchors, values)
            threshold = mean_plus_deviation(values[:found])
            for i in range(found):
                if anchors[i] >= 0 and values[i] >= threshold and values[i] > ZERO:
                    claims[count], rows[count], overlaps[count] = anchors[i] << 32 | count, row, values[i]
                    count += 1
    return claims[:count], rows, overlaps


@kernel
def list_candidates(edges: Any, grids: Any, box: Any, cells: Any, anchors: Any, values: Any) -> int:
    """Write the anchors of `cells` (L, N), or -1 where the cell's center is not inside the box, and the IoU of each;
    return how many there are."""
    area = (box[2] - box[0]) * (box[3] - box[1])
    count = s = 0
    for level in range(len(cells)):
        first, shapes = grids[s], grids[s].step
        for i in range(cells.shape[1]):
            if cells[level, i] < 0:
                break
            r, c = cells[level, i] // first.columns, cells[level, i] % first.columns
            x, y = first.center_x + c * first.stride_x, first.center_y + r * first.stride_y
            inside = min(x - box[0], y - box[1], box[2] - x, box[3] - y) > INSIDE
            for k in range(s, s + shapes):
                grid = grids[k]
                x1, x2 = edges[grid.x1 + c], edges[grid.x2 + c]
                y1, y2 = edges[grid.y1 + r], edges[grid.y2 + r]
                values[count] = box_iou(x1, y1, x2, y2, box, area)
                anchors[count] = grid.first + shapes * cells[level, i] if inside else -1
                count += 1
        s += shapes
    return count


@kernel
def box_iou(x1: Any, y1: Any, x2: Any, y2: Any, box: Any, area: Any) -> Any:
    """Copy of `max_iou_kernels.box_iou`: numba's cache misses changes in other files."""
    width, height = min(x2, box[2]) - max(x1, box[0]), min(y2, box[3]) - max(y1, box[1])
    inter = width * height if width > ZERO and height > ZERO else ZERO
    union = (x2 - x1) * (y2 - y1) + area - inter
    return inter / union if union > ZERO else ZERO


@kernel
def mean_plus_deviation(values: Any) -> float:
    """Return the mean plus the unbiased standard deviation (0 for a single value, or none), in float64."""
    if len(values) == 0:
        return 0.0
    total = 0.0
    for value in values:
        total += value
    mean = total / len(values)
    square = 0.0
    for value in values:
        square += (value - mean) ** 2
    return mean + (np.sqrt(square / (len(values) - 1)) if len(values) > 1 else 0.0)


@kernel
def settle(claims: Any, rows: Any, overlaps: Any, crowd: Any) -> tuple[Any, Any, Any]:
    """Give each anchor to its claim of greatest IoU, of equals the first. `claims` are sorted. Return the positive
    anchors, ascending, the box of each, and the boxes, crowd aside, without a positive."""
    anchors, owners, found = np.empty(len(claims), np.int64), np.empty(len(claims), np.int64), crowd.copy()
    n = 0
    best = ZERO
    for claim in claims:
        anchor, i = np.int64(claim >> HALF), np.int64(claim & LOWER)
        if n == 0 or anchors[n - 1] != anchor:
            anchors[n], best = anchor, ZERO
            n += 1
        if overlaps[i] > best:
            owners[n - 1], best = rows[i], overlaps[i]
    for row in owners[:n]:
        found[row] = True
    return anchors[:n], owners[:n], np.flatnonzero(~found)
