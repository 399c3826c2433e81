"""The loops of MaxIoUAssigner, over the tables of `anchorloc.assign.grid_tables`. Nothing is checked here.

edges: (E,) float32. grids: (S,) SHAPE_GRID. boxes: (M, 4) float32. crowd: (M,) bool. positives: (M,) int64, positive
anchors per box. claims: (A,) uint64, the greatest claim on each anchor. marks: uint64, one bit for each anchor that is
not plain background. pages: bool, whether any of 64 words of marks has a bit. claims, marks and pages are zero between
calls: `collect` reads the marked anchors and clears them, so untouched anchors cost nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from anchorloc.boxes.jit import kernel

ZERO, HALF = np.float32(0), np.float32(0.5)
TAKEN = np.float32(2)  # above every IoU: the anchor was given to its box by rescue
TINY = np.float32(1e-45)  # the smallest number above 0
NARROWER = 1 - 1e-5  # factor of a threshold: more than float32 rounding can add to an IoU
FUDGE = 1e-3  # in cells: more than float64 rounding can move the border of a window
ONE, SIX, TWELVE, HALF_WORD, LAST, LOWER = map(np.uint64, (1, 6, 12, 32, 63, 0xFFFFFFFF))
Box = tuple[Any, Any, Any, Any]  # x1, y1, x2, y2, float32
Best = tuple[Any, int, float]  # IoU, anchor, squared distance of the centers


@kernel
def corners(boxes: Any, row: int) -> Box:
    """Return the box of a row as four numbers."""
    return boxes[row, 0], boxes[row, 1], boxes[row, 2], boxes[row, 3]


@kernel
def box_area(box: Box) -> Any:
    """Return the area in float32, as torchvision does."""
    return (box[2] - box[0]) * (box[3] - box[1])


@kernel
def box_center(box: Box) -> tuple[float, float]:
    """Return x and y of the center in float64."""
    return (np.float64(box[0]) + np.float64(box[2])) / 2, (np.float64(box[1]) + np.float64(box[3])) / 2


@kernel
def intersection(x1: Any, y1: Any, x2: Any, y2: Any, box: Box) -> Any:
    """Shared area of an anchor and a box."""
    width = min(x2, box[2]) - max(x1, box[0])
    height = min(y2, box[3]) - max(y1, box[1])
    return width * height if width > ZERO and height > ZERO else ZERO


@kernel
def box_iou(x1: Any, y1: Any, x2: Any, y2: Any, box: Box, area: Any) -> Any:
    """IoU of an anchor with a box of that area, in torchvision's order of operations; 0 where neither has an area."""
    inter = intersection(x1, y1, x2, y2, box)
    union = (x2 - x1) * (y2 - y1) + area - inter
    return inter / union if union > ZERO else ZERO


@kernel
def window(box: Box, grid: Any, needed: float) -> tuple[int, int, int, int]:
    """Rows and columns (first and one past the last of each) of a grid whose anchors can share `needed` square
    pixels with `box`.

    The overlap along one axis is at most the shorter side, so `needed` asks for so much along the other, and that
    bounds the distance of the centers.
    """
    box_width, box_height = np.float64(box[2]) - np.float64(box[0]), np.float64(box[3]) - np.float64(box[1])
    width, height = min(box_width, grid.width), min(box_height, grid.height)
    if not (width * height >= needed and width * height > 0):
        return 0, 0, 0, 0
    x, y = box_center(box)
    away_x = box_width / 2 + grid.reach_x - needed / height
    away_y = box_height / 2 + grid.reach_y - needed / width
    x, y = (x - grid.center_x) * grid.cells_x, (y - grid.center_y) * grid.cells_y
    away_x, away_y = away_x * grid.cells_x + FUDGE, away_y * grid.cells_y + FUDGE
    top, bottom = max(np.ceil(y - away_y), np.float64(grid.top)), min(np.floor(y + away_y) + 1, np.float64(grid.bottom))
    left, right = max(np.ceil(x - away_x), np.float64(grid.left)), min(np.floor(x + away_x) + 1, np.float64(grid.right))
    if not (top < bottom and left < right):
        return 0, 0, 0, 0
    return int(top), int(bottom), int(left), int(right)


@kernel
def claim_of(iou: Any, row: Any) -> Any:
    """Return one integer that is greater the greater the IoU is, then the lower the row of the box is."""
    return np.uint64(np.float32(iou).view(np.uint32)) << HALF_WORD | (LOWER - np.uint64(row))


@kernel
def row_of(claim: Any) -> Any:
    """Return the row of the box that made the claim."""
    return np.int64(LOWER - (claim & LOWER))


@kernel
def mark(marks: Any, pages: Any, anchor: Any) -> None:
    """Remember that the anchor is not plain background."""
    place = np.uint64(anchor)
    marks[place >> SIX] |= ONE << (place & LAST)
    pages[place >> TWELVE] = True


@kernel
def share(threshold: Any) -> float:
    """Return i / (a + b) for boxes of areas a and b and IoU t = i / (a + b - i): t / (1 + t)."""
    t = np.float64(threshold) * NARROWER
    return t / (1 + t)


@kernel
def visit(edges: Any, grids: Any, box: Box, row: int, least: Any, claims: Any, marks: Any, pages: Any) -> None:
    """Offer the box to every anchor that it overlaps by IoU >= `least` > 0.

    The IoU equals `box_iou`, in its order of operations; boxes without area give NaN here, which reaches nothing.
    Indices are unsigned, because numba checks whether a signed one is negative.
    """
    area, part = box_area(box), share(least)
    for s in range(len(grids)):
        grid, needed = grids[s], part * (np.float64(area) + grids[s].area)
        if not min(box[2] - box[0], grid.width) * min(box[3] - box[1], grid.height) >= needed:
            continue  # before the call of `window`, because most grids are too small or too large
        top, bottom, left, right = window(box, grid, needed)
        first_x1, first_x2, step = np.uint64(grid.x1 + left), np.uint64(grid.x2 + left), np.uint64(grid.step)
        for r in range(top, bottom):
            y1, y2 = edges[grid.y1 + r], edges[grid.y2 + r]
            height, shared_height = y2 - y1, max(min(y2, box[3]) - max(y1, box[1]), ZERO)
            anchor = np.uint64(grid.first + grid.step * (r * grid.columns + left))
            for c in range(right - left):
                x1, x2 = edges[first_x1 + np.uint64(c)], edges[first_x2 + np.uint64(c)]
                inter = max(min(x2, box[2]) - max(x1, box[0]), ZERO) * shared_height
                value = inter / ((x2 - x1) * height + area - inter)
                if value >= least:
                    claims[anchor] = max(claims[anchor], claim_of(value, row))
                    mark(marks, pages, anchor)
                anchor += step


@kernel
def mark_crowd(edges: Any, grids: Any, box: Box, marks: Any, pages: Any) -> None:
    """Mark every anchor of which at least half lies in the crowd box."""
    for grid in grids:
        top, bottom, left, right = window(box, grid, 0.5 * NARROWER * grid.area)
        for r in range(top, bottom):
            y1, y2 = edges[grid.y1 + r], edges[grid.y2 + r]
            for c in range(left, right):
                x1, x2 = edges[grid.x1 + c], edges[grid.x2 + c]
                area = (x2 - x1) * (y2 - y1)
                if area > ZERO and intersection(x1, y1, x2, y2, box) / area >= HALF:
                    mark(marks, pages, grid.first + grid.step * (r * grid.columns + c))


@kernel
def only_positive(anchor: int, least: Any, claims: Any, positives: Any) -> bool:
    """Return whether the anchor is the only positive of its box; `positives` (M,) counts them per box."""
    return bool(claims[anchor] >= least and positives[row_of(claims[anchor])] == 1)


@kernel
def cells_around(box: Box, grid: Any) -> tuple[int, int, int, int]:
    """Return the window of the 2 x 2 cells around the box's center."""
    x, y = box_center(box)
    r = int(max(min(np.floor((y - grid.center_y) * grid.cells_y), grid.bottom - 1.0), np.float64(grid.top)))
    c = int(max(min(np.floor((x - grid.center_x) * grid.cells_x), grid.right - 1.0), np.float64(grid.left)))
    return r, min(r + 2, grid.bottom), c, min(c + 2, grid.right)


@kernel
def best_in_window(
    edges: Any, grid: Any, cells: Any, box: Box, best: Any, least: Any, positive: Any, claims: Any, positives: Any
) -> Best:
    """Return the better of `best` and the best anchor in a window."""
    area, (x, y) = box_area(box), box_center(box)
    iou, winner, away = best
    top, bottom, left, right = cells
    for r in range(top, bottom):
        y1, y2 = edges[grid.y1 + r], edges[grid.y2 + r]
        for c in range(left, right):
            value = box_iou(edges[grid.x1 + c], y1, edges[grid.x2 + c], y2, box, area)
            if value >= iou and value >= least and value > ZERO:
                anchor = grid.first + grid.step * (r * grid.columns + c)
                dx, dy = grid.center_x + c * grid.stride_x - x, grid.center_y + r * grid.stride_y - y
                distance = dx * dx + dy * dy
                closer = distance < away or (distance == away and anchor < winner)
                if (value > iou or closer) and not only_positive(anchor, positive, claims, positives):
                    iou, winner, away = value, anchor, distance
    return iou, winner, away


@kernel
def best_anchor(edges: Any, grids: Any, box: Box, least: Any, positive: Any, claims: Any, positives: Any) -> Best:
    """Return IoU, index (-1: none) and squared distance of the best anchor of IoU >= `least` and > 0.

    Greatest IoU, then nearest center, then lowest index; skips anchors that are another box's only positive. IoU falls
    with the distance on each axis, so the cells around the box's center give a first bound. IoU is constant while one
    box contains the other, where rounding decides; so every cell that can reach the bound is searched.
    """
    best = (ZERO, -1, np.inf)
    for grid in grids:
        best = best_in_window(edges, grid, cells_around(box, grid), box, best, least, positive, claims, positives)
    for grid in grids:
        needed = share(max(best[0], least)) * (np.float64(box_area(box)) + grid.area)
        best = best_in_window(edges, grid, window(box, grid, needed), box, best, least, positive, claims, positives)
    return best


@kernel
def best_anchors(edges: Any, grids: Any, boxes: Any, least: Any, claims: Any, iou: Any, anchors: Any) -> None:
    """Fill in the IoU (M,) and number (M,) of the best anchor of each box of IoU >= `least`, 0 and -1 where none is."""
    nothing = np.empty(0, np.int64)  # `positives` is not read: at TAKEN no anchor is positive
    for row in range(len(boxes)):
        found = best_anchor(edges, grids, corners(boxes, row), least, claim_of(TAKEN, 0), claims, nothing)
        iou[row], anchors[row] = found[0], found[1]


@kernel
def rescue(
    edges: Any, grids: Any, boxes: Any, crowd: Any, positive: Any, least: Any, claims: Any, marks: Any, pages: Any
) -> None:
    """Give every box without a positive its best anchor of IoU >= `least` that is not another's only positive."""
    positives = np.zeros(len(boxes), np.int64)
    for anchor in marked(marks, pages):
        if claims[anchor] >= positive:
            positives[row_of(claims[anchor])] += 1
    lost = np.flatnonzero((positives == 0) & ~crowd)
    iou, first_choice = np.zeros(len(lost), np.float32), np.zeros(len(lost), np.int64)
    best_anchors(edges, grids, boxes[lost], least, claims, iou, first_choice)
    for i in np.argsort(-iou, kind="mergesort"):
        row, anchor = lost[i], first_choice[i]
        if anchor >= 0 and only_positive(anchor, positive, claims, positives):
            anchor = best_anchor(edges, grids, corners(boxes, row), least, positive, claims, positives)[1]
        if anchor >= 0:
            if claims[anchor] >= positive:
                positives[row_of(claims[anchor])] -= 1
            claims[anchor], positives[row] = claim_of(TAKEN, row), 1
            mark(marks, pages, anchor)


@kernel
def marked(marks: Any, pages: Any) -> Any:
    """The marked anchors, ascending."""
    total = count = 0
    for page in np.flatnonzero(pages):
        for word in range(page << 6, (page + 1) << 6):
            total += ones(marks[word])
    anchors = np.empty(total, np.int64)
    for page in np.flatnonzero(pages):
        for word in range(page << 6, (page + 1) << 6):
            bits = marks[word]
            while bits:
                anchors[count] = (word << 6) + ones(~bits & (bits - ONE))  # the zeros below the lowest bit
                count += 1
                bits &= bits - ONE
    return anchors


@kernel
def ones(bits: Any) -> int:
    """How many bits are set (Warren, Hacker's Delight, section 5-1); LLVM makes one instruction of it."""
    bits -= (bits >> ONE) & np.uint64(0x5555555555555555)
    bits = (bits & np.uint64(0x3333333333333333)) + ((bits >> np.uint64(2)) & np.uint64(0x3333333333333333))
    bits = (bits + (bits >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return int((bits * np.uint64(0x0101010101010101)) >> np.uint64(56))


@kernel
def collect(positive: Any, claims: Any, marks: Any, pages: Any, crowd: Any) -> tuple[Any, Any, Any, Any]:
    """Return the marked anchors as positive anchors, their boxes and ignored anchors, and the boxes without a
    positive, all ascending, and clear claims, marks and pages."""
    anchors = marked(marks, pages)
    rows, ignored, found, n, m = np.empty_like(anchors), np.empty_like(anchors), crowd.copy(), 0, 0
    for anchor in anchors:  # without branches: which anchors are positive is hard to predict
        claim, claims[anchor] = claims[anchor], 0
        anchors[n], rows[n], ignored[m] = anchor, row_of(claim), anchor
        n += claim >= positive
        m += claim < positive
    found[rows[:n]] = True
    for page in np.flatnonzero(pages):
        marks[page << 6 : (page + 1) << 6] = 0
        pages[page] = False
    return anchors[:n], rows[:n], ignored[:m], np.flatnonzero(~found)


@kernel
def max_iou(
    edges: Any, grids: Any, boxes: Any, crowd: Any, positive: Any, negative: Any, least: Any, claims: Any,
    marks: Any, pages: Any,
) -> tuple[Any, Any, Any, Any]:  # fmt: skip
    """Assign by IoU; `least` is the IoU of rescue, or below 0 for none."""
    positive, negative, least = max(np.float32(positive), TINY), np.float32(negative), np.float32(least)
    floor, lowest = negative if negative > ZERO else positive, claim_of(positive, LOWER)
    for row in range(len(boxes)):
        if crowd[row]:
            mark_crowd(edges, grids, corners(boxes, row), marks, pages)
        else:
            visit(edges, grids, corners(boxes, row), row, floor, claims, marks, pages)
    if least >= ZERO:
        rescue(edges, grids, boxes, crowd, lowest, least, claims, marks, pages)
    return collect(lowest, claims, marks, pages, crowd)
