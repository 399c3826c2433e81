"""Boxes at the door of the assigners."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anchorloc.boxes.checks import as_boxes, as_flags, as_rows


def boxes_and_crowd(boxes: ArrayLike, crowd: ArrayLike | None) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return `boxes` as a new (M, 4) float32 array and `crowd` as (M,) bool.

    Raises:
        ValueError: a box that is not finite, not in float32's range or of negative size; a `crowd` of another length.
    """
    from anchorloc.boxes import table_kernels

    given = np.array(as_rows(boxes, "boxes"), order="C")
    if not table_kernels.all_boxes(given):
        as_boxes(given)  # finds the words
    rows = given if given.dtype == np.float32 else _as_float32(given)
    if crowd is None:
        return rows, np.zeros(len(rows), np.bool_)
    return rows, as_flags(crowd, "crowd", len(rows))


def _as_float32(boxes: NDArray[Any]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        rows = boxes.astype(np.float32)
    if not np.isfinite(rows).all():
        row = int(np.flatnonzero(~np.isfinite(rows).all(axis=1))[0])
        raise ValueError(f"boxes[{row}] is {tuple(boxes[row].tolist())}: too large for float32")
    return rows
