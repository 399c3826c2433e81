"""The loops of the assigners, over the tables of `anchorloc.assign.tables`. Nothing is checked here.

State of an image, in scratch arrays that are all zero between calls: `iou` and `row`, the best overlap of each anchor
so far and its box, and `marks`, one bit for each anchor that is not plain background. `collect` reads the marked
anchors in ascending order and makes everything zero again, so a call costs what it touches and not what exists.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from anchorloc.boxes.jit import kernel

ZERO = np.float32(0)
TAKEN = np.float32(2)  # above every IoU: the anchor was given to its box by rescue
NARROWER = 1 - 1e-5  # of a threshold: more than float32 rounding can add to an IoU
FUDGE = 1e-3  # of a cell: more than float64 rounding can move the border of a window


@kernel
def box_iou(x1: Any, y1: Any, x2: Any, y2: Any, box: Any, area: Any) -> Any:
    """IoU of an anchor with `box`, as float32 in torchvision's order of operations; 0 where neither has an area."""
    width = min(x2, box[2]) - max(x1, box[0])
    height = min(y2, box[3]) - max(y1, box[1])
    if not (width > ZERO and height > ZERO):
        return ZERO
    inter = width * height
    union = area + (x2 - x1) * (y2 - y1) - inter
    return inter / union if union > ZERO else ZERO


@kernel
def reach(box_low: Any, box_high: Any, line: Any, least: float, count: int) -> tuple[int, int]:
    """First and last cell of a lattice's axis whose anchors share at least `least` pixels with a box's side, of
    `count`; none where last < first."""
    origin, stride, length, error = line[0], line[1], line[2], line[3]
    center = (np.float64(box_low) + np.float64(box_high)) / 2
    side = np.float64(box_high) - np.float64(box_low)
    away = (side + length) / 2 + error - least
    low = np.ceil((center - away - origin) / stride - FUDGE)
    high = np.floor((center + away - origin) / stride + FUDGE)
    return int(min(max(low, 0.0), float(count))), int(max(min(high, count - 1.0), -1.0))


@kernel
def window(box: Any, lines: Any, place: Any, needed: float) -> tuple[int, int, int, int]:
    """Rows and columns (first, last of each) of a lattice whose anchors can share `needed` square pixels with `box`.

    The overlap along one axis is at most the shorter side, so `needed` asks for so much along the other.
    """
    x, y = lines[:4], lines[4:]
    width = min(np.float64(box[2]) - np.float64(box[0]), x[2] + 2 * x[3])
    height = min(np.float64(box[3]) - np.float64(box[1]), y[2] + 2 * y[3])
    if not width * height >= needed or width <= 0 or height <= 0:
        return 0, -1, 0, -1
    left, right = reach(box[0], box[2], x, needed / height, place[3])
    top, bottom = reach(box[1], box[3], y, needed / width, place[2])
    return top, bottom, left, right


@kernel
def shared_area(threshold: Any, box: Any, lines: Any) -> float:
    """The least intersection with which an anchor of a lattice can have IoU >= `threshold` with `box`:
    i / (a + b - i) >= t where i >= (a + b) * t / (1 + t)."""
    t = np.float64(threshold) * NARROWER
    area = (np.float64(box[2]) - np.float64(box[0])) * (np.float64(box[3]) - np.float64(box[1]))
    least: float = t / (1 + t) * (area + max(lines[2] - 2 * lines[3], 0.0) * max(lines[6] - 2 * lines[7], 0.0))
    return least


@kernel
def visit(
    edges: Any, layout: Any, geometry: Any, box: Any, row: int, least: Any, iou: Any, owner: Any, marks: Any
) -> None:
    """Offer `box` to every anchor that it overlaps by IoU >= `least` (and > 0)."""
    area = (box[2] - box[0]) * (box[3] - box[1])
    for s in range(len(layout)):
        place, lines = layout[s], geometry[s]
        top, bottom, left, right = window(box, lines, place, shared_area(least, box, lines))
        for r in range(top, bottom + 1):
            y1, y2 = edges[place[6] + r], edges[place[7] + r]
            for c in range(left, right + 1):
                value = box_iou(edges[place[4] + c], y1, edges[place[5] + c], y2, box, area)
                anchor = place[0] + place[1] * (r * place[3] + c)
                if value >= least and value > iou[anchor]:
                    iou[anchor], owner[anchor] = value, row
                    marks[anchor >> 6] |= np.uint64(1) << np.uint64(anchor & 63)


@kernel
def mark_crowd(edges: Any, layout: Any, geometry: Any, box: Any, marks: Any) -> None:
    """Mark every anchor of which at least half lies in the crowd `box`."""
    for s in range(len(layout)):
        place, lines = layout[s], geometry[s]
        half = 0.5 * NARROWER * max(lines[2] - 2 * lines[3], 0.0) * max(lines[6] - 2 * lines[7], 0.0)
        top, bottom, left, right = window(box, lines, place, half)
        for r in range(top, bottom + 1):
            y1, y2 = edges[place[6] + r], edges[place[7] + r]
            height = min(y2, box[3]) - max(y1, box[1])
            for c in range(left, right + 1):
                x1, x2 = edges[place[4] + c], edges[place[5] + c]
                width = min(x2, box[2]) - max(x1, box[0])
                area = (x2 - x1) * (y2 - y1)
                if height > ZERO and width > ZERO and area > ZERO and width * height / area >= np.float32(0.5):
                    anchor = place[0] + place[1] * (r * place[3] + c)
                    marks[anchor >> 6] |= np.uint64(1) << np.uint64(anchor & 63)


@kernel
def spoken_for(anchor: int, positive: Any, iou: Any, owner: Any, positives: Any) -> bool:
    """Whether the anchor is the only positive of its box."""
    return bool(iou[anchor] > ZERO and iou[anchor] >= positive and positives[owner[anchor]] == 1)


@kernel
def best_anchor(
    edges: Any, layout: Any, geometry: Any, box: Any, least: Any, positive: Any, iou: Any, owner: Any, positives: Any
) -> tuple[int, Any]:
    """The anchor of greatest IoU with `box`, then nearest center, then lowest index, and its IoU; -1 where none has
    IoU >= `least` (and > 0). Only positives of other boxes are passed over, except where `positives` is empty.

    IoU falls with the distance on each axis, so the cells around the box's center give a good first bound; rounding
    makes exact winners of flat neighborhoods, so everything that can reach the bound is then looked at.
    """
    area = (box[2] - box[0]) * (box[3] - box[1])
    center_x, center_y = (np.float64(box[0]) + np.float64(box[2])) / 2, (np.float64(box[1]) + np.float64(box[3])) / 2
    best, winner, nearest = ZERO, -1, np.inf
    for around in (True, False):
        for s in range(len(layout)):
            place, lines = layout[s], geometry[s]
            if around:
                r = int(min(max(np.floor((center_y - lines[4]) / lines[5]), 0.0), place[2] - 1.0))
                c = int(min(max(np.floor((center_x - lines[0]) / lines[1]), 0.0), place[3] - 1.0))
                top, bottom = max(r - 1, 0), min(r + 2, place[2] - 1)
                left, right = max(c - 1, 0), min(c + 2, place[3] - 1)
            else:
                top, bottom, left, right = window(box, lines, place, shared_area(max(best, least), box, lines))
            for r in range(top, bottom + 1):
                y1, y2 = edges[place[6] + r], edges[place[7] + r]
                for c in range(left, right + 1):
                    value = box_iou(edges[place[4] + c], y1, edges[place[5] + c], y2, box, area)
                    if value < best or value < least or value == ZERO:
                        continue
                    anchor = place[0] + place[1] * (r * place[3] + c)
                    dx, dy = lines[0] + c * lines[1] - center_x, lines[4] + r * lines[5] - center_y
                    away = dx * dx + dy * dy
                    closer = away < nearest or (away == nearest and anchor < winner)
                    if value == best and not closer:
                        continue
                    if len(positives) and spoken_for(anchor, positive, iou, owner, positives):
                        continue
                    best, winner, nearest = value, anchor, away
    return winner, best


@kernel
def count_positives(positive: Any, iou: Any, owner: Any, marks: Any, positives: Any) -> None:
    """Count the positives of each box."""
    for word in range(len(marks)):
        bits = marks[word]
        anchor = word << 6
        while bits:
            if bits & np.uint64(1) and iou[anchor] > ZERO and iou[anchor] >= positive:
                positives[owner[anchor]] += 1
            bits >>= np.uint64(1)
            anchor += 1


@kernel
def rescue(
    edges: Any, layout: Any, geometry: Any, boxes: Any, crowd: Any, positive: Any, least: Any, iou: Any, owner: Any,
    marks: Any, positives: Any,
) -> None:  # fmt: skip
    """Give every box without a positive its best anchor of IoU >= `least` that is not another's only positive."""
    count_positives(positive, iou, owner, marks, positives)
    lost = np.flatnonzero((positives == 0) & ~crowd)
    best = np.empty(len(lost), np.float32)
    for i in range(len(lost)):
        _, best[i] = best_anchor(
            edges, layout, geometry, boxes[lost[i]], least, positive, iou, owner, positives[:0]
        )  # fmt: skip
    for i in np.argsort(-best, kind="mergesort"):
        row = lost[i]
        if best[i] > ZERO:
            anchor, _ = best_anchor(edges, layout, geometry, boxes[row], least, positive, iou, owner, positives)
            if anchor >= 0:
                if iou[anchor] > ZERO and iou[anchor] >= positive:
                    positives[owner[anchor]] -= 1
                iou[anchor], owner[anchor] = TAKEN, row
                positives[row] = 1
                marks[anchor >> 6] |= np.uint64(1) << np.uint64(anchor & 63)


@kernel
def collect(positive: Any, iou: Any, owner: Any, marks: Any, crowd: Any) -> tuple[Any, Any, Any, Any]:
    """Read the marked anchors into (positive anchors, their boxes, ignored anchors, boxes without a positive), all
    ascending, and clear the scratch."""
    total = 0
    for word in range(len(marks)):
        bits = marks[word]
        while bits:
            bits &= bits - np.uint64(1)
            total += 1
    anchors, rows, ignored = np.empty(total, np.int64), np.empty(total, np.int64), np.empty(total, np.int64)
    found = crowd.copy()
    n = m = 0
    for word in range(len(marks)):
        bits = marks[word]
        anchor = word << 6
        while bits:
            if bits & np.uint64(1):
                if iou[anchor] > ZERO and iou[anchor] >= positive:
                    anchors[n], rows[n] = anchor, owner[anchor]
                    found[owner[anchor]] = True
                    n += 1
                else:
                    ignored[m] = anchor
                    m += 1
                iou[anchor] = ZERO
            bits >>= np.uint64(1)
            anchor += 1
        marks[word] = 0
    return anchors[:n], rows[:n], ignored[:m], np.flatnonzero(~found)


@kernel
def max_iou(
    edges: Any, layout: Any, geometry: Any, boxes: Any, crowd: Any, positive: Any, negative: Any, least: Any,
    iou: Any, owner: Any, marks: Any,
) -> tuple[Any, Any, Any, Any]:  # fmt: skip
    """Assign by IoU; `least` is the IoU of rescue, or below 0 for none."""
    floor = negative if negative > ZERO else positive
    for row in range(len(boxes)):
        if crowd[row]:
            mark_crowd(edges, layout, geometry, boxes[row], marks)
        else:
            visit(edges, layout, geometry, boxes[row], row, floor, iou, owner, marks)
    if least >= ZERO:
        positives = np.zeros(len(boxes), np.int64)
        rescue(edges, layout, geometry, boxes, crowd, positive, least, iou, owner, marks, positives)
    return collect(positive, iou, owner, marks, crowd)


@kernel
def nearest_cells(center: float, other: float, lines: Any, place: Any, cells: Any, away: Any) -> int:
    """Fill `cells` with the cells nearest to the point (x, y) = (center, other), by squared distance, then index, and
    return how many there are: len(cells) unless the level is smaller."""
    rows, columns = place[2], place[3]
    wanted = min(len(cells), rows * columns)
    count = 0
    middle_r = int(min(max(np.floor((other - lines[4]) / lines[5]), 0.0), rows - 1.0))
    middle_c = int(min(max(np.floor((center - lines[0]) / lines[1]), 0.0), columns - 1.0))
    for down in (1, -1):
        r = middle_r if down == 1 else middle_r - 1
        while 0 <= r < rows:
            dy = lines[4] + r * lines[5] - other
            if count == wanted and dy * dy > away[count - 1] and (r - middle_r) * down > 0:
                break
            for right in (1, -1):
                c = middle_c if right == 1 else middle_c - 1
                while 0 <= c < columns:
                    dx = lines[0] + c * lines[1] - center
                    distance = dx * dx + dy * dy
                    cell = r * columns + c
                    if count == wanted and distance > away[count - 1] and (c - middle_c) * right > 0:
                        break
                    i = count if count < wanted else count - 1
                    if count < wanted or distance < away[i] or (distance == away[i] and cell < cells[i]):
                        while i > 0 and (distance < away[i - 1] or (distance == away[i - 1] and cell < cells[i - 1])):
                            away[i], cells[i] = away[i - 1], cells[i - 1]
                            i -= 1
                        away[i], cells[i] = distance, cell
                        count = min(count + 1, wanted)
                    c += right
            r += down
    return count


@kernel
def visit_candidates(
    edges: Any, layout: Any, geometry: Any, box: Any, row: int, cells: Any, away: Any, found: Any, values: Any,
    iou: Any, owner: Any, marks: Any,
) -> None:  # fmt: skip
    """Offer `box` to its candidates of IoU >= their mean + standard deviation whose center it holds."""
    area = (box[2] - box[0]) * (box[3] - box[1])
    x, y = (np.float64(box[0]) + np.float64(box[2])) / 2, (np.float64(box[1]) + np.float64(box[3])) / 2
    count = s = 0
    while s < len(layout):
        place, lines = layout[s], geometry[s]
        n = nearest_cells(x, y, lines, place, cells, away)
        for i in range(n):
            r, c = cells[i] // place[3], cells[i] % place[3]
            dx, dy = lines[0] + c * lines[1], lines[4] + r * lines[5]
            inside = min(dx - box[0], dy - box[1], box[2] - dx, box[3] - dy) > 0.01
            for k in range(s, s + place[1]):
                other = layout[k]
                x1, y1, x2, y2 = edges[other[4] + c], edges[other[6] + r], edges[other[5] + c], edges[other[7] + r]
                values[count] = box_iou(x1, y1, x2, y2, box, area)
                found[count] = other[0] + other[1] * cells[i] if inside else -1
                count += 1
        s += place[1]
    mean = 0.0
    for i in range(count):
        mean += values[i]
    mean /= count
    square = 0.0
    for i in range(count):
        square += (values[i] - mean) ** 2
    threshold = mean + (np.sqrt(square / (count - 1)) if count > 1 else 0.0)
    for i in range(count):
        anchor = found[i]
        if anchor >= 0 and values[i] >= threshold and values[i] > iou[anchor]:
            iou[anchor], owner[anchor] = values[i], row
            marks[anchor >> 6] |= np.uint64(1) << np.uint64(anchor & 63)


@kernel
def atss(
    edges: Any, layout: Any, geometry: Any, boxes: Any, crowd: Any, candidates: int, iou: Any, owner: Any, marks: Any
) -> tuple[Any, Any, Any, Any]:
    """Assign by ATSS."""
    cells, away = np.empty(candidates, np.int64), np.empty(candidates, np.float64)
    size = 0
    for s in range(len(layout)):
        size += min(candidates, layout[s, 2] * layout[s, 3])
    found, values = np.empty(size, np.int64), np.empty(size, np.float32)
    for row in range(len(boxes)):
        if crowd[row]:
            mark_crowd(edges, layout, geometry, boxes[row], marks)
        else:
            visit_candidates(
                edges, layout, geometry, boxes[row], row, cells, away, found, values, iou, owner, marks
            )  # fmt: skip
    return collect(ZERO, iou, owner, marks, crowd)
