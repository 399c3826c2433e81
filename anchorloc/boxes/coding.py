"""Encode boxes as offsets from anchors (R-CNN's parametrization), and decode them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks import FloatArray, as_boxes, as_finite_rows, as_same_type, check_same_length

Weights = tuple[float, float, float, float]
LARGEST_LOG_SCALE = math.log(1000 / 16)  # the limit of Faster R-CNN and its successors


def encode_boxes(boxes: ArrayLike, anchors: ArrayLike, weights: Weights = (1.0, 1.0, 1.0, 1.0)) -> FloatArray:
    """Return the (N, 4) deltas (dx, dy, dw, dh) that take each anchor to its box.

    dx = (center of box - center of anchor) / width of anchor, dw = log(width of box / width of anchor), and likewise
    for y and height, each times its weight (Girshick et al. 2014, appendix C; the order of operations is that of
    torchvision's `BoxCoder`).

    Args:
        boxes: (N, 4) xyxy, sides > 0.
        anchors: (N, 4) xyxy, sides > 0.
        weights: factors of dx, dy, dw, dh.

    Raises:
        ValueError: a box or an anchor has no area, so its logarithm does not exist.

    >>> encode_boxes([[10, 0, 30, 20]], [[0, 0, 20, 20]])
    array([[0.5, 0. , 0. , 0. ]])
    """
    box_rows, anchor_rows = as_same_type(as_boxes(boxes), as_boxes(anchors, "anchors"))
    check_same_length(box_rows, anchor_rows, ("boxes", "anchors"))
    sides, centers = _sides_and_centers(box_rows, "boxes")
    anchor_sides, anchor_centers = _sides_and_centers(anchor_rows, "anchors")
    shift, scale = _split(weights, box_rows.dtype)
    deltas = [shift * (centers - anchor_centers) / anchor_sides, scale * np.log(sides / anchor_sides)]
    return np.concatenate(deltas, axis=1)


def decode_boxes(
    deltas: ArrayLike,
    anchors: ArrayLike,
    weights: Weights = (1.0, 1.0, 1.0, 1.0),
    largest_log_scale: float = LARGEST_LOG_SCALE,
) -> FloatArray:
    """Return the (N, 4) xyxy boxes that `deltas` make of `anchors`: the inverse of `encode_boxes`.

    Args:
        deltas: (N, 4) dx, dy, dw, dh.
        anchors: (N, 4) xyxy.
        weights: as given to `encode_boxes`.
        largest_log_scale: upper limit of dw and dh, so that no prediction becomes an infinite box.

    >>> decode_boxes([[0.5, 0, 0, 0]], [[0, 0, 20, 20]])
    array([[10.,  0., 30., 20.]])
    """
    delta_rows, anchor_rows = as_same_type(as_finite_rows(deltas, "deltas"), as_boxes(anchors, "anchors"))
    check_same_length(delta_rows, anchor_rows, ("deltas", "anchors"))
    dtype = delta_rows.dtype
    shift, scale = _split(weights, dtype)
    anchor_sides = anchor_rows[:, 2:] - anchor_rows[:, :2]
    centers = delta_rows[:, :2] / shift * anchor_sides + (anchor_rows[:, :2] + dtype.type(0.5) * anchor_sides)
    log_scales = np.minimum(delta_rows[:, 2:] / scale, dtype.type(largest_log_scale))
    half = dtype.type(0.5) * (np.exp(log_scales) * anchor_sides)
    return np.concatenate([centers - half, centers + half], axis=1)


def _sides_and_centers(boxes: NDArray[Any], name: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return (N, 2) width and height, and (N, 2) center; refuse a side of 0."""
    sides = boxes[:, 2:] - boxes[:, :2]
    if not (sides > 0).all():
        row = int((sides <= 0).any(axis=1).argmax())
        raise ValueError(f"{name}[{row}] is {tuple(boxes[row].tolist())}: a box to encode needs width and height > 0")
    return sides, boxes[:, :2] + boxes.dtype.type(0.5) * sides


def _split(weights: Weights, dtype: np.dtype[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the weights of (dx, dy) and of (dw, dh)."""
    values = np.asarray(weights, dtype)
    if values.shape != (4,) or not (np.isfinite(values) & (values > 0)).all():
        raise ValueError(f"weights must be four positive numbers, got {weights}")
    return values[:2], values[2:]
