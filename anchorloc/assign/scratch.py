"""What the assigners share: boxes at the door, and memory that is used again from image to image."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anchorloc.boxes.checks import as_boxes, as_rows, as_vector

CLAIM = np.dtype([("iou", np.float32), ("row", np.int32)])


class _Scratch(threading.local):
    """All zero whenever no kernel runs. np.zeros takes memory page by page as it is written, so that a big grid
    costs only the anchors that boxes have touched."""

    def __init__(self) -> None:
        self.claims = np.zeros(0, CLAIM)
        self.marks = np.zeros(0, np.uint64)


_scratch = _Scratch()


def scratch(count: int) -> tuple[NDArray[Any], NDArray[np.uint64]]:
    """Return this thread's scratch for `count` anchors: a claim for each, and one bit for each."""
    if len(_scratch.claims) < count:
        _scratch.claims = np.zeros(count, CLAIM)
        _scratch.marks = np.zeros((count + 63) // 64, np.uint64)
    return _scratch.claims, _scratch.marks[: (count + 63) // 64]


def boxes_and_crowd(boxes: ArrayLike, crowd: ArrayLike | None) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return `boxes` as a new (M, 4) float32 array and `crowd` as (M,) bool.

    Raises:
        ValueError: a box that is not finite, not in float32's range or of negative size; a `crowd` of another length.
    """
    from anchorloc.assign.kernels import all_usable

    given = np.array(as_rows(boxes, "boxes"), order="C")
    if not all_usable(given):
        as_boxes(given)  # finds the words
    rows = given if given.dtype == np.float32 else _as_float32(given)
    if crowd is None:
        return rows, np.zeros(len(rows), np.bool_)
    return rows, as_vector(crowd, "crowd", len(rows)).astype(np.bool_)


def _as_float32(boxes: NDArray[Any]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        rows = boxes.astype(np.float32)
    if not np.isfinite(rows).all():
        row = int(np.flatnonzero(~np.isfinite(rows).all(axis=1))[0])
        raise ValueError(f"boxes[{row}] is {tuple(boxes[row].tolist())}: too large for float32")
    return rows
