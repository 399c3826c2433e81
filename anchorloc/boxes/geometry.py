"""Formats and areas of boxes, and how boxes change with their image. Plain NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks import FloatArray, IndexArray, as_array, as_boxes, as_finite_rows, as_size


def box_convert(boxes: ArrayLike, in_fmt: str, out_fmt: str) -> FloatArray:
    """Return a copy of `boxes` (N, 4) in another format.

    Args:
        boxes: rows in `in_fmt`.
        in_fmt: "xyxy" (two corners), "xywh" (corner, width, height) or "cxcywh" (center, width, height).
        out_fmt: the same.

    Raises:
        ValueError: an unknown format, a negative size, or a number that is not finite.

    >>> box_convert([[10, 20, 30, 60]], "xyxy", "cxcywh")
    array([[20., 40., 20., 40.]])
    """
    for name, fmt in (("in_fmt", in_fmt), ("out_fmt", out_fmt)):
        if fmt not in ("xyxy", "xywh", "cxcywh"):
            raise ValueError(f"{name} must be 'xyxy', 'xywh' or 'cxcywh', got {fmt!r}")
    if in_fmt == "xyxy":
        rows = as_boxes(boxes)
    else:
        rows = as_finite_rows(boxes, "boxes")
        _check_sides(rows)
    if in_fmt == out_fmt:
        return rows.copy()
    return _from_xyxy(_to_xyxy(rows, in_fmt), out_fmt)


def box_area(boxes: ArrayLike) -> FloatArray:
    """Return the (N,) areas of `boxes` (N, 4) xyxy, in square pixels: (x2 - x1) * (y2 - y1).

    >>> box_area([[0, 0, 50_000, 50_000]])
    array([2.5e+09])
    """
    x1, y1, x2, y2 = as_boxes(boxes).T
    area: FloatArray = (x2 - x1) * (y2 - y1)
    return area


def clip_boxes_to_image(boxes: ArrayLike, size: tuple[float, float]) -> FloatArray:
    """Return `boxes` (N, 4) xyxy cut to an image of `size` (height, width).

    A box wholly outside becomes one of area 0 on the border.

    >>> clip_boxes_to_image([[-5, 10, 700, 20]], (480, 640))
    array([[  0.,  10., 640.,  20.]])
    """
    height, width = as_size(size)
    checked = as_boxes(boxes)
    limits = np.asarray([width, height, width, height], checked.dtype)
    clipped: FloatArray = np.clip(checked, np.zeros_like(limits), limits)
    return clipped


def remove_small_boxes(boxes: ArrayLike, min_size: float) -> IndexArray:
    """Return the indices of the `boxes` (N, 4) xyxy whose sides are both at least `min_size` pixels.

    >>> remove_small_boxes([[0, 0, 10, 10], [0, 0, 10, 2]], 5)
    array([0])
    """
    checked = as_boxes(boxes)
    return np.flatnonzero((checked[:, 2:] - checked[:, :2] >= min_size).all(axis=1)).astype(np.int64)


def normalize_boxes(boxes: ArrayLike, size: tuple[float, float]) -> FloatArray:
    """Return `boxes` (N, 4) xyxy in pixels as fractions of an image of `size` (height, width).

    >>> normalize_boxes([[160, 120, 640, 480]], (480, 640))
    array([[0.25, 0.25, 1.  , 1.  ]])
    """
    height, width = as_size(size)
    checked = as_boxes(boxes)
    result: FloatArray = checked / np.asarray([width, height, width, height], checked.dtype)
    return result


def denormalize_boxes(boxes: ArrayLike, size: tuple[float, float]) -> FloatArray:
    """Return normalized `boxes` (N, 4) xyxy in pixels of an image of `size` (height, width).

    >>> denormalize_boxes([[0.25, 0.25, 1, 1]], (480, 640))
    array([[160., 120., 640., 480.]])
    """
    height, width = as_size(size)
    checked = as_boxes(boxes)
    result: FloatArray = checked * np.asarray([width, height, width, height], checked.dtype)
    return result


def scale_boxes(boxes: ArrayLike, scale: float | tuple[float, float]) -> FloatArray:
    """Return `boxes` (N, 4) xyxy after a resize of their image by `scale`, or by (vertical, horizontal) scales.

    >>> scale_boxes([[10, 20, 30, 40]], (0.5, 2))
    array([[20., 10., 60., 20.]])
    """
    factors = np.broadcast_to(as_array(scale, "scale"), 2) if np.size(scale) in (1, 2) else np.empty(0)
    if factors.dtype.kind not in "iuf" or not len(factors) or not (np.isfinite(factors) & (factors > 0)).all():
        raise ValueError(f"scale must be a positive number, or (vertical, horizontal), got {scale!r}")
    vertical, horizontal = (float(factor) for factor in factors)
    checked = as_boxes(boxes)
    result: FloatArray = checked * np.asarray([horizontal, vertical, horizontal, vertical], checked.dtype)
    return result


def flip_boxes(
    boxes: ArrayLike, size: tuple[float, float], horizontal: bool = True, vertical: bool = False
) -> FloatArray:
    """Return `boxes` (N, 4) xyxy after their image of `size` (height, width) was mirrored: left and right by
    `horizontal`, top and bottom by `vertical`.

    >>> flip_boxes([[0, 0, 10, 20]], (480, 640))
    array([[630.,   0., 640.,  20.]])
    """
    height, width = as_size(size)
    flipped = as_boxes(boxes).copy()
    if horizontal:
        flipped[:, [0, 2]] = flipped.dtype.type(width) - flipped[:, [2, 0]]
    if vertical:
        flipped[:, [1, 3]] = flipped.dtype.type(height) - flipped[:, [3, 1]]
    return flipped


def _check_sides(rows: NDArray[Any]) -> None:
    """Raise ValueError for a negative width or height of an xywh or cxcywh row."""
    if not (rows[:, 2:] >= 0).all():
        row = int((rows[:, 2:] < 0).any(axis=1).argmax())
        raise ValueError(f"boxes[{row}] is {tuple(rows[row].tolist())}: width and height must not be negative")


def _to_xyxy(rows: NDArray[Any], fmt: str) -> NDArray[Any]:
    first, sides = rows[:, :2], rows[:, 2:]
    if fmt == "xywh":
        return np.concatenate([first, first + sides], axis=1)
    if fmt == "cxcywh":
        half = rows.dtype.type(0.5) * sides
        return np.concatenate([first - half, first + half], axis=1)
    return rows


def _from_xyxy(boxes: NDArray[Any], fmt: str) -> NDArray[Any]:
    low, high = boxes[:, :2], boxes[:, 2:]
    if fmt == "xywh":
        return np.concatenate([low, high - low], axis=1)
    if fmt == "cxcywh":
        return np.concatenate([(low + high) / 2, high - low], axis=1)
    return boxes
