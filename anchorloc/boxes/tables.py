"""Boxes in the layout of the kernels: one row per quantity, one column per box."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks import IndexArray, as_boxes, as_rows

NO_ORDER: IndexArray = np.empty(0, np.int64)


def box_table(boxes: ArrayLike, order: IndexArray = NO_ORDER) -> NDArray[Any]:
    """Check `boxes` and return them, sorted by `order` if given, as a (5, N) table of x1, y1, x2, y2 and area."""
    rows = _contiguous(as_rows(boxes, "boxes"))
    table, largest = _checked_table(rows, "boxes", order)
    shift = _shift(largest, rows.dtype)
    return _checked_table(np.ldexp(rows, shift), "boxes", order)[0] if shift else table


def box_tables(
    boxes1: ArrayLike, boxes2: ArrayLike, names: tuple[str, str] = ("boxes1", "boxes2")
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Check two sets of boxes and return both as tables of one float type."""
    rows1, rows2 = as_rows(boxes1, names[0]), as_rows(boxes2, names[1])
    dtype = np.result_type(rows1, rows2)
    rows1, rows2 = _contiguous(rows1, dtype), _contiguous(rows2, dtype)
    (table1, largest1), (table2, largest2) = (_checked_table(*pair) for pair in zip((rows1, rows2), names, strict=True))
    shift = _shift(max(largest1, largest2), dtype)
    if shift:
        return _checked_table(np.ldexp(rows1, shift), names[0])[0], _checked_table(np.ldexp(rows2, shift), names[1])[0]
    return table1, table2


def with_angles(table: NDArray[Any]) -> NDArray[Any]:
    """Append one row: (2 / pi) atan(width / height), by atan2 because a side may be 0."""
    angle = np.arctan2(table[2] - table[0], table[3] - table[1])
    return np.vstack([table, table.dtype.type(2 / np.pi) * angle])


def _checked_table(rows: NDArray[Any], name: str, order: IndexArray = NO_ORDER) -> tuple[NDArray[Any], float]:
    """Return the table and the greatest absolute coordinate."""
    from . import table_kernels as kernels

    table = np.empty((5, len(rows)), rows.dtype)
    largest = kernels.fill_table(rows, order, table)
    if largest < 0:
        as_boxes(rows, name)  # raises ValueError
    return table, largest


def _shift(largest: float, dtype: np.dtype[Any]) -> int:
    """Return the exponent of the power of two to multiply by so that no area overflows; usually 0.

    The multiplication does not change any ratio of areas or of lengths.
    """
    limit = 128 if dtype == np.float32 else 1024  # the first power of two that is too large
    exponent = limit // 2 - 3  # a union is at most 8 times the square of a coordinate
    return 0 if largest < 2.0**exponent else exponent - limit


def _contiguous(rows: NDArray[Any], dtype: np.dtype[Any] | None = None) -> NDArray[Any]:
    """Return the rows as a writable C-contiguous array, for which alone the kernel is compiled."""
    rows = np.ascontiguousarray(rows, dtype)
    return rows if rows.flags.writeable else rows.copy()
