"""Loops of non-maximum suppression. Boxes come as tables (x1, y1, x2, y2, area), sorted by descending score.

Each box is compared with the kept boxes only. While they are few, with all of them, BLOCK at a time in vector
registers. When they are many, with those near enough to matter: kept boxes are filed by size and place, and the IoU
itself decides about every candidate, so that the result is the same.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .jit import kernel

Table = NDArray[Any]  # (5, N)
ZERO = np.float32(0)  # takes the type of its partner
BLOCK = 16
SMALLEST_AREA = np.float32(1e-32)


@kernel
def nms(boxes: Table, bounds: NDArray[np.int64], threshold: Any, scan_limit: int, keep: NDArray[np.bool_]) -> None:
    """Mark the boxes that stay. Group g is the columns bounds[g] to bounds[g + 1]; groups do not touch each other.
    Above `scan_limit` kept boxes of a group, the rest of it goes by the grid, if that is exact."""
    kept = np.zeros((5, boxes.shape[1] + BLOCK), boxes.dtype)  # an unused slot holds a box without area
    for group in range(len(bounds) - 1):
        start, stop = bounds[group], bounds[group + 1]
        limit = scan_limit if stop - start > scan_limit and fits_grid(boxes, start, stop) else stop - start
        reached = nms_by_scan(boxes, start, stop, threshold, limit, kept, keep)
        if reached < stop:
            nms_by_grid(boxes, start, reached, stop, threshold, kept, keep)


@kernel
def fits_grid(boxes: Table, start: int, stop: int) -> bool:
    """Return whether no area is so small that float32 makes its IoU too coarse for the bounds of the grid."""
    found = np.int32(0)
    for i in range(start, stop):
        found |= np.int32(ZERO < boxes[4, i] < SMALLEST_AREA)
    return bool(found == 0)


@kernel
def nms_by_scan(
    boxes: Table, start: int, stop: int, threshold: Any, limit: int, kept: Table, keep: NDArray[np.bool_]
) -> int:
    """Decide about columns start to stop, until `limit` boxes are kept; return the first column not decided."""
    end = start
    for i in range(start, stop):
        if end - start >= limit:
            return i
        keep[i] = boxes[4, i] == ZERO or not overlaps(boxes, i, kept, start, end, threshold)
        if keep[i]:
            put(boxes, i, kept, end)
            end += 1
    return stop


@kernel
def nms_by_grid(
    boxes: Table, start: int, reached: int, stop: int, threshold: Any, kept: Table, keep: NDArray[np.bool_]
) -> None:
    """Decide about columns reached to stop, given those before.

    A level holds the boxes whose longer side is in [2^(l-1), 2^l), in square cells of 2^l by their centers. Cells of
    all levels share one hash table, each entry of which owns as many slots of `kept` as boxes can come to it. What
    comes there by collision, what the scan left, and what a block reads beyond the entry, is a kept box or an empty
    slot: it costs time, not truth.
    """
    mask = 64
    while mask < stop - start:
        mask *= 2
    mask -= 1
    entry, end = np.empty(stop - start, np.int64), np.zeros(mask + 2, np.int64)
    for i in range(start, stop):
        entry[i - start] = own_entry(boxes, i, mask)
        end[entry[i - start] + 1] += 1
    end[0] = start
    for q in range(1, mask + 2):
        end[q] += end[q - 1]
    first = end.copy()
    for i in range(start, stop):
        if i >= reached:  # a box without area overlaps nothing, and its cell may have no number
            keep[i] = boxes[4, i] == ZERO or not overlaps_near(boxes, i, kept, first, end, mask, threshold)
        if keep[i] and boxes[4, i] > ZERO:
            put(boxes, i, kept, end[entry[i - start]])
            end[entry[i - start]] += 1


@kernel
def overlaps_near(
    boxes: Table, i: int, kept: Table, first: NDArray[np.int64], end: NDArray[np.int64], mask: int, threshold: Any
) -> bool:
    """Return whether a kept box overlaps box i by more than the threshold; searches only where one can lie."""
    share = float(threshold) * (1 - 1e-5)  # the rounding of an IoU may hide the rest
    x1, y1, x2, y2 = float(boxes[0, i]), float(boxes[1, i]), float(boxes[2, i]), float(boxes[3, i])
    width, height, x, y = x2 - x1, y2 - y1, (x1 + x2) / 2, (y1 + y2) / 2
    side = max(width, height)
    for level in range(math.frexp(side * share)[1], math.frexp(side / share)[1] + 1):
        cell = math.ldexp(1.0, level)
        dx = reach(width, cell, share) + 1e-15 * abs(x)
        dy = reach(height, cell, share) + 1e-15 * abs(y)
        for column in range(math.floor((x - dx) / cell), math.floor((x + dx) / cell) + 1):
            for row in range(math.floor((y - dy) / cell), math.floor((y + dy) / cell) + 1):
                q = hashed(column, row, level, mask)
                if overlaps(boxes, i, kept, first[q], end[q], threshold):
                    return True
    return False


@kernel
def reach(side: float, longest: float, share: float) -> float:
    """How far apart the centers of two intervals can be, one of length `side`, the other at most `longest`, if boxes
    on them have IoU >= share: the intervals then share at least share * max(both lengths), because the intersection
    is at least share * (greater area) and the shared height at most the smaller height."""
    other = min(longest, side / share) if share <= 0.5 else min(longest, side)
    return max(0.0, (side + other) / 2 - share * max(side, other))


@kernel
def own_entry(boxes: Table, i: int, mask: int) -> int:
    """The entry of the hash table to which box i belongs."""
    x1, y1, x2, y2 = float(boxes[0, i]), float(boxes[1, i]), float(boxes[2, i]), float(boxes[3, i])
    level = math.frexp(max(x2 - x1, y2 - y1))[1]
    cell = math.ldexp(1.0, level)
    return hashed(math.floor((x1 + x2) / 2 / cell), math.floor((y1 + y2) / 2 / cell), level, mask)


@kernel
def hashed(column: int, row: int, level: int, mask: int) -> int:
    """Spread cells over the table (Teschner et al. 2003)."""
    return (column * 73856093 ^ row * 19349663 ^ level * 83492791) & mask


@kernel
def overlaps(boxes: Table, i: int, kept: Table, start: int, end: int, threshold: Any) -> bool:
    """Return whether one of the kept boxes from `start` to `end` overlaps box i, which has an area, by more than the
    threshold."""
    while start < end:
        if hits(boxes, i, kept, start, threshold):
            return True
        start += BLOCK
    return False


@kernel
def hits(boxes: Table, i: int, kept: Table, start: int, threshold: Any) -> bool:
    """Return whether one of the BLOCK kept boxes from `start` on overlaps box i by more than the threshold.

    The loop has a constant length and contiguous slices, else LLVM leaves it scalar. The union with a box that has an
    area is above 0, so the division needs no guard.
    """
    stop = start + BLOCK
    x1, y1, x2, y2 = kept[0, start:stop], kept[1, start:stop], kept[2, start:stop], kept[3, start:stop]
    area = kept[4, start:stop]
    found = np.int32(0)
    for k in range(BLOCK):
        inter, union = shared_and_union(boxes, i, x1[k], y1[k], x2[k], y2[k], area[k])
        found |= np.int32(inter / union > threshold)
    return bool(found)


@kernel
def shared_and_union(boxes: Table, i: int, x1: Any, y1: Any, x2: Any, y2: Any, area: Any) -> tuple[Any, Any]:
    """Areas of the intersection and the union of column i with another box, computed as in `overlap_kernels`."""
    left, top = boxes[0, i] if boxes[0, i] > x1 else x1, boxes[1, i] if boxes[1, i] > y1 else y1
    right, bottom = boxes[2, i] if boxes[2, i] < x2 else x2, boxes[3, i] if boxes[3, i] < y2 else y2
    width, height = right - left, bottom - top
    inter = (width if width > ZERO else ZERO) * (height if height > ZERO else ZERO)
    return inter, boxes[4, i] + area - inter


@kernel
def iou(boxes: Table, i: int, x1: Any, y1: Any, x2: Any, y2: Any, area: Any) -> Any:
    """IoU of column i with another box."""
    inter, union = shared_and_union(boxes, i, x1, y1, x2, y2, area)
    return inter / union if union > ZERO else ZERO


@kernel
def put(boxes: Table, i: int, kept: Table, slot: int) -> None:
    """Copy box i to a slot."""
    for row in range(5):
        kept[row, slot] = boxes[row, i]


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
        x1, y1, x2, y2, area = boxes[0, best], boxes[1, best], boxes[2, best], boxes[3, best], boxes[4, best]
        for i in range(len(scores)):
            if left[i] and not math.isinf(scores[i]):  # inf times a factor that underflows to 0 would be NaN
                overlap = iou(boxes, i, x1, y1, x2, y2, area)
                if overlap > ZERO:
                    scores[i] *= math.exp(-decay * overlap * overlap)
    return len(scores)


@kernel
def highest(scores: NDArray[Any], left: NDArray[np.bool_]) -> int:
    """The first of the highest scores among those left; at least one must be."""
    best = -1
    for i in range(len(scores)):
        if left[i] and (best < 0 or scores[i] > scores[best]):
            best = i
    return best
