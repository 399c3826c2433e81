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
ONE = np.float32(1)


@kernel
def shared(low: Any, high: Any, other_low: Any, other_high: Any) -> Any:
    """The length that two intervals share."""
    start = other_low if other_low > low else low
    stop = other_high if other_high < high else high
    return stop - start if stop > start else ZERO


@kernel
def span(low: Any, high: Any, other_low: Any, other_high: Any) -> Any:
    """The length of the smallest interval that holds both."""
    start = other_low if other_low < low else low
    stop = other_high if other_high > high else high
    return stop - start


@kernel
def iou(inter: Any, union: Any) -> Any:
    """Intersection over union, 0 where both boxes have no area."""
    return inter / union if union > ZERO else ZERO


@kernel
def box_iou(boxes1: Table, boxes2: Table, out: NDArray[Any], eps: Any, start: int, stop: int) -> None:
    """IoU of all pairs."""
    x1, y1, x2, y2, area = boxes2[0], boxes2[1], boxes2[2], boxes2[3], boxes2[4]
    for i in range(start, stop):
        left, top, right, bottom, own = boxes1[0, i], boxes1[1, i], boxes1[2, i], boxes1[3, i], boxes1[4, i]
        row = out[i]
        for j in range(len(row)):
            inter = shared(left, right, x1[j], x2[j]) * shared(top, bottom, y1[j], y2[j])
            row[j] = iou(inter, own + area[j] - inter)


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
            row[j] = iou(inter, union) - iou(empty, hull)


@kernel
def distance_box_iou(boxes1: Table, boxes2: Table, out: NDArray[Any], eps: Any, start: int, stop: int) -> None:
    """DIoU of all pairs; rows 5 and 6 of the tables are the centers."""
    x1, y1, x2, y2, area = boxes2[0], boxes2[1], boxes2[2], boxes2[3], boxes2[4]
    center_x, center_y = boxes2[5], boxes2[6]
    for i in range(start, stop):
        left, top, right, bottom, own = boxes1[0, i], boxes1[1, i], boxes1[2, i], boxes1[3, i], boxes1[4, i]
        own_x, own_y = boxes1[5, i], boxes1[6, i]
        row = out[i]
        for j in range(len(row)):
            inter = shared(left, right, x1[j], x2[j]) * shared(top, bottom, y1[j], y2[j])
            width, height = span(left, right, x1[j], x2[j]), span(top, bottom, y1[j], y2[j])
            dx, dy = own_x - center_x[j], own_y - center_y[j]
            away = iou(dx * dx + dy * dy, width * width + height * height + eps)
            row[j] = iou(inter, own + area[j] - inter) - away


@kernel
def complete_box_iou(boxes1: Table, boxes2: Table, out: NDArray[Any], eps: Any, start: int, stop: int) -> None:
    """CIoU of all pairs; rows 5 and 6 are the centers, row 7 the angle times 2 / pi."""
    x1, y1, x2, y2, area = boxes2[0], boxes2[1], boxes2[2], boxes2[3], boxes2[4]
    center_x, center_y, angle = boxes2[5], boxes2[6], boxes2[7]
    for i in range(start, stop):
        left, top, right, bottom, own = boxes1[0, i], boxes1[1, i], boxes1[2, i], boxes1[3, i], boxes1[4, i]
        own_x, own_y, own_angle = boxes1[5, i], boxes1[6, i], boxes1[7, i]
        row = out[i]
        for j in range(len(row)):
            inter = shared(left, right, x1[j], x2[j]) * shared(top, bottom, y1[j], y2[j])
            width, height = span(left, right, x1[j], x2[j]), span(top, bottom, y1[j], y2[j])
            dx, dy = own_x - center_x[j], own_y - center_y[j]
            away = iou(dx * dx + dy * dy, width * width + height * height + eps)
            overlap = iou(inter, own + area[j] - inter)
            turn = own_angle - angle[j]
            shape = turn * turn  # v of the paper: the factor 4 / pi^2 is in the angles
            row[j] = overlap - away - iou(shape * shape, ONE - overlap + shape + eps)


@kernel
def box_ioa(boxes1: Table, boxes2: Table, out: NDArray[Any], eps: Any, start: int, stop: int) -> None:
    """Intersection over the first box's area, of all pairs."""
    x1, y1, x2, y2 = boxes2[0], boxes2[1], boxes2[2], boxes2[3]
    for i in range(start, stop):
        left, top, right, bottom, own = boxes1[0, i], boxes1[1, i], boxes1[2, i], boxes1[3, i], boxes1[4, i]
        row = out[i]
        for j in range(len(row)):
            row[j] = iou(shared(left, right, x1[j], x2[j]) * shared(top, bottom, y1[j], y2[j]), own)


@kernel
def box_iou_crowd(boxes1: Table, boxes2: Table, out: NDArray[Any], eps: Any, start: int, stop: int) -> None:
    """IoU of all pairs, intersection over the first box's area where row 5 of the second is 1."""
    x1, y1, x2, y2, area, crowd = boxes2[0], boxes2[1], boxes2[2], boxes2[3], boxes2[4], boxes2[5]
    for i in range(start, stop):
        left, top, right, bottom, own = boxes1[0, i], boxes1[1, i], boxes1[2, i], boxes1[3, i], boxes1[4, i]
        row = out[i]
        for j in range(len(row)):
            inter = shared(left, right, x1[j], x2[j]) * shared(top, bottom, y1[j], y2[j])
            row[j] = iou(inter, own if crowd[j] > ZERO else own + area[j] - inter)


@kernel
def paired_box_iou(boxes1: Table, boxes2: Table, out: NDArray[Any]) -> None:
    """IoU of each column with its own."""
    for i in range(len(out)):
        width = shared(boxes1[0, i], boxes1[2, i], boxes2[0, i], boxes2[2, i])
        height = shared(boxes1[1, i], boxes1[3, i], boxes2[1, i], boxes2[3, i])
        inter = width * height
        out[i] = iou(inter, boxes1[4, i] + boxes2[4, i] - inter)


@kernel
def best_overlap(
    boxes1: Table, boxes2: Table, index: NDArray[np.int64], best: NDArray[Any], start: int, stop: int
) -> None:
    """Column and IoU of the best partner; -1 and 0 where there is none."""
    x1, y1, x2, y2, area = boxes2[0], boxes2[1], boxes2[2], boxes2[3], boxes2[4]
    for i in range(start, stop):
        left, top, right, bottom, own = boxes1[0, i], boxes1[1, i], boxes1[2, i], boxes1[3, i], boxes1[4, i]
        winner, most = -1, ZERO * own
        for j in range(len(x1)):
            inter = shared(left, right, x1[j], x2[j]) * shared(top, bottom, y1[j], y2[j])
            overlap = iou(inter, own + area[j] - inter)
            if overlap > most:
                winner, most = j, overlap
        index[i], best[i] = winner, most
