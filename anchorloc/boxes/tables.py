"""Checked boxes as the kernels read them: one row a quantity, one column a box."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def box_tables(*sets: NDArray[Any]) -> list[NDArray[Any]]:
    """Return each set of (N, 4) boxes as a (5, N) table of x1, y1, x2, y2 and area.

    Where an area could overflow, all sets shrink by the same power of two, which changes no ratio of areas or lengths.
    """
    largest = max(np.abs(boxes).max(initial=0) for boxes in sets)
    exponent = np.finfo(sets[0].dtype).maxexp // 2 - 3  # a union is at most 8 times the square of a coordinate
    if largest >= 2.0**exponent:
        sets = tuple(np.ldexp(boxes, -exponent - 4) for boxes in sets)
    return [_table(boxes) for boxes in sets]


def with_centers(table: NDArray[Any]) -> NDArray[Any]:
    """Append two rows: the centers, as torchvision computes them."""
    return np.vstack([table, (table[:2] + table[2:4]) / 2])


def with_angles(table: NDArray[Any]) -> NDArray[Any]:
    """Append one row: (2 / pi) atan(width / height)."""
    angle = np.arctan2(table[2] - table[0], table[3] - table[1])
    return np.vstack([table, table.dtype.type(2 / np.pi) * angle])


def _table(boxes: NDArray[Any]) -> NDArray[Any]:
    table = np.empty((5, len(boxes)), boxes.dtype)
    table[:4] = boxes.T
    table[4] = (table[2] - table[0]) * (table[3] - table[1])
    return table
