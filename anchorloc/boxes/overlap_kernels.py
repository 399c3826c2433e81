"""Loops over pairs of boxes.

Boxes come as tables, one row a quantity and one column a box (x1, y1, x2, y2, area, then what the measure needs), so
that the inner loop reads contiguous memory and LLVM turns it into vector instructions. The kernels over all pairs fill
rows `start` to `stop` of the (N, M) `out` and share one signature. Nothing is checked here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .jit import kernel

Table = NDArray[Any]  # (R, N)
ZERO = np.float32(0)  # takes the type of its partner
HALF = np.float32(0.5)
ONE = np.float32(1)
BLOCK = 16
LONG = 1000  # columns from which on it pays to fill two rows at once
VECTOR = 8  # float32 in a vector register


@kernel
def shared(low: Any, high: Any, other_low: Any, other_high: Any) -> Any:
    """Return the length of the intersection of two intervals."""
    start = other_low if other_low > low else low
    stop = other_high if other_high < high else high
    length = stop - start
    return length if length > ZERO else ZERO  # one vector instruction, as a comparison of the ends is not


@kernel
def span(low: Any, high: Any, other_low: Any, other_high: Any) -> Any:
    """Return the length of the smallest interval that contains both."""
    start = other_low if other_low < low else low
    stop = other_high if other_high > high else high
    return stop - start


@kernel
def ratio(part: Any, whole: Any) -> Any:
    """Return part / whole, or 0 if whole is 0."""
    return part / whole if whole > ZERO else ZERO


@kernel
def distance(left: Any, top: Any, right: Any, bottom: Any, x1: Any, y1: Any, x2: Any, y2: Any, eps: Any) -> Any:
    """The squared distance of two centers by the squared diagonal of the hull. A difference of rounded centers would
    be worthless far from the origin; a sum of differences is not."""
    dx, dy = HALF * ((left - x1) + (right - x2)), HALF * ((top - y1) + (bottom - y2))
    width, height = span(left, right, x1, x2), span(top, bottom, y1, y2)
    return ratio(dx * dx + dy * dy, width * width + height * height + eps)


@kernel
def box_iou(boxes1: Table, boxes2: Table, out: NDArray[Any], eps: Any, start: int, stop: int) -> None:
    """IoU of all pairs, two rows at a time where rows are long: the columns are then read half as often.

    A short row is filled in whole vectors, because LLVM does the rest of a row number by number. What spills over its
    end is overwritten by the next row; the last rows, which have no next one, end where they should.

    The shared area is at most that of either box, so the union with a box that has an area is above 0, and the division
    needs no guard; a box without area shares nothing.
    """
    flat, columns, table = out.reshape(-1), out.shape[1], boxes2
    if columns < LONG and columns % VECTOR:
        table = np.zeros((5, columns + VECTOR - columns % VECTOR), boxes2.dtype)
        table[:, :columns] = boxes2[:5]
    x1, y1, x2, y2, area = table[0], table[1], table[2], table[3], table[4]
    i = start
    while i < stop:
        left, top, right, bottom, own = boxes1[0, i], boxes1[1, i], boxes1[2, i], boxes1[3, i], boxes1[4, i]
        begin = i * columns
        end = begin + table.shape[1]
        row = flat[begin : end if end <= stop * columns else begin + columns]
        if own > ZERO and columns >= LONG and i + 1 < stop and boxes1[4, i + 1] > ZERO:
            i += 1
            left2, top2, right2, bottom2, own2 = boxes1[0, i], boxes1[1, i], boxes1[2, i], boxes1[3, i], boxes1[4, i]
            row2 = out[i]
            for j in range(columns):
                inter = shared(left, right, x1[j], x2[j]) * shared(top, bottom, y1[j], y2[j])
                inter2 = shared(left2, right2, x1[j], x2[j]) * shared(top2, bottom2, y1[j], y2[j])
                row[j], row2[j] = inter / (own + area[j] - inter), inter2 / (own2 + area[j] - inter2)
        elif own > ZERO:
            for j in range(len(row)):
                inter = shared(left, right, x1[j], x2[j]) * shared(top, bottom, y1[j], y2[j])
                row[j] = inter / (own + area[j] - inter)
        else:
            row[:] = ZERO
        i += 1


@kernel
def generalized_box_iou(boxes1: Table, boxes2: Table, out: NDArray[Any], eps: Any, start: int, stop: int) -> None:
    """GIoU of all pairs."""
    x1, y1, x2, y2, area = boxes2[0], boxes2[1], boxes2[2], boxes2[3], boxes2[4]
    for i in range(start, stop):
        left, top, right, bottom, own = boxes1[0, i], boxes1[1, i], boxes1[2, i], boxes1[3, i], boxes1[4, i]
        row = out[i]
        for j in range(len(row)):
            inter = shared(left, right, x1[j], x2[j]) * shared(top, bottom, y1[j], y2[j])
            union = own + area[j] - inter
            hull = span(left, right, x1[j], x2[j]) * span(top, bottom, y1[j], y2[j])
            empty = hull - union if hull > union else ZERO  # rounding must not lift GIoU above IoU
            row[j] = ratio(inter, union) - ratio(empty, hull)


@kernel
def distance_box_iou(boxes1: Table, boxes2: Table, out: NDArray[Any], eps: Any, start: int, stop: int) -> None:
    """DIoU of all pairs."""
    x1, y1, x2, y2, area = boxes2[0], boxes2[1], boxes2[2], boxes2[3], boxes2[4]
    for i in range(start, stop):
        left, top, right, bottom, own = boxes1[0, i], boxes1[1, i], boxes1[2, i], boxes1[3, i], boxes1[4, i]
        row = out[i]
        for j in range(len(row)):
            inter = shared(left, right, x1[j], x2[j]) * shared(top, bottom, y1[j], y2[j])
            away = distance(left, top, right, bottom, x1[j], y1[j], x2[j], y2[j], eps)
            row[j] = ratio(inter, own + area[j] - inter) - away


@kernel
def complete_box_iou(boxes1: Table, boxes2: Table, out: NDArray[Any], eps: Any, start: int, stop: int) -> None:
    """CIoU of all pairs; row 5 of the tables is the angle times 2 / pi."""
    x1, y1, x2, y2, area, angle = boxes2[0], boxes2[1], boxes2[2], boxes2[3], boxes2[4], boxes2[5]
    for i in range(start, stop):
        left, top, right, bottom, own = boxes1[0, i], boxes1[1, i], boxes1[2, i], boxes1[3, i], boxes1[4, i]
        own_angle, row = boxes1[5, i], out[i]
        for j in range(len(row)):
            inter = shared(left, right, x1[j], x2[j]) * shared(top, bottom, y1[j], y2[j])
            away = distance(left, top, right, bottom, x1[j], y1[j], x2[j], y2[j], eps)
            overlap = ratio(inter, own + area[j] - inter)
            turn = own_angle - angle[j]
            shape = turn * turn  # v of the paper: the factor 4 / pi^2 is in the angles
            row[j] = overlap - away - ratio(shape * shape, ONE - overlap + shape + eps)


@kernel
def box_ioa(boxes1: Table, boxes2: Table, out: NDArray[Any], eps: Any, start: int, stop: int) -> None:
    """Intersection over the first box's area, of all pairs."""
    x1, y1, x2, y2 = boxes2[0], boxes2[1], boxes2[2], boxes2[3]
    for i in range(start, stop):
        left, top, right, bottom, own = boxes1[0, i], boxes1[1, i], boxes1[2, i], boxes1[3, i], boxes1[4, i]
        row = out[i]
        for j in range(len(row)):
            row[j] = ratio(shared(left, right, x1[j], x2[j]) * shared(top, bottom, y1[j], y2[j]), own)


@kernel
def box_iou_crowd(boxes1: Table, boxes2: Table, out: NDArray[Any], eps: Any, start: int, stop: int) -> None:
    """IoU of all pairs, intersection over the first box's area where row 5 of the second is 1."""
    x1, y1, x2, y2, area, crowd = boxes2[0], boxes2[1], boxes2[2], boxes2[3], boxes2[4], boxes2[5]
    for i in range(start, stop):
        left, top, right, bottom, own = boxes1[0, i], boxes1[1, i], boxes1[2, i], boxes1[3, i], boxes1[4, i]
        row = out[i]
        for j in range(len(row)):
            inter = shared(left, right, x1[j], x2[j]) * shared(top, bottom, y1[j], y2[j])
            row[j] = ratio(inter, own if crowd[j] > ZERO else own + area[j] - inter)


@kernel
def paired_box_iou(boxes1: Table, boxes2: Table, out: NDArray[Any]) -> None:
    """IoU of column i of one table with column i of the other."""
    for i in range(len(out)):
        width = shared(boxes1[0, i], boxes1[2, i], boxes2[0, i], boxes2[2, i])
        height = shared(boxes1[1, i], boxes1[3, i], boxes2[1, i], boxes2[3, i])
        inter = width * height
        out[i] = ratio(inter, boxes1[4, i] + boxes2[4, i] - inter)


@kernel
def best_overlap(
    boxes1: Table, boxes2: Table, index: NDArray[np.int64], best: NDArray[Any], start: int, stop: int
) -> None:
    """Column and IoU of the best partner; -1 and 0 where there is none. The second table is filled up to a multiple
    of BLOCK with boxes without area."""
    for i in range(start, stop):
        left, top, right, bottom, own = boxes1[0, i], boxes1[1, i], boxes1[2, i], boxes1[3, i], boxes1[4, i]
        winner, most = -1, ZERO * own
        for j in range(0, boxes2.shape[1], BLOCK):
            if exceeds(left, top, right, bottom, own, boxes2, j, most):
                for k in range(j, j + BLOCK):
                    width = shared(left, right, boxes2[0, k], boxes2[2, k])
                    inter = width * shared(top, bottom, boxes2[1, k], boxes2[3, k])
                    overlap = ratio(inter, own + boxes2[4, k] - inter)
                    if overlap > most:
                        winner, most = k, overlap
        index[i], best[i] = winner, most


@kernel
def exceeds(left: Any, top: Any, right: Any, bottom: Any, own: Any, boxes: Table, start: int, limit: Any) -> bool:
    """Return whether one of BLOCK boxes has an IoU above the limit; written as a constant-length loop over contiguous
    slices, so that LLVM vectorizes it."""
    stop = start + BLOCK
    x1, y1, x2, y2 = boxes[0, start:stop], boxes[1, start:stop], boxes[2, start:stop], boxes[3, start:stop]
    area = boxes[4, start:stop]
    found = np.int32(0)
    for k in range(BLOCK):
        inter = shared(left, right, x1[k], x2[k]) * shared(top, bottom, y1[k], y2[k])
        found |= np.int32(ratio(inter, own + area[k] - inter) > limit)
    return bool(found)
