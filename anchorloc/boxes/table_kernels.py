"""Numba kernels that check boxes and write them into a table."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .jit import kernel


@kernel
def fill_table(boxes: NDArray[Any], order: NDArray[np.int64], table: NDArray[Any]) -> float:
    """Write x1, y1, x2, y2 and area of boxes (N, 4) into the columns of `table`, column i from row order[i]; an empty
    order keeps the order of the rows.

    Return the greatest absolute coordinate, or -1 if a box is not finite or has a negative size.
    """
    largest = 0.0
    for i in range(table.shape[1]):
        row = order[i] if len(order) > 0 else i
        x1, y1, x2, y2 = boxes[row, 0], boxes[row, 1], boxes[row, 2], boxes[row, 3]
        if not (x1 <= x2 and y1 <= y2):
            return -1.0
        largest = max(largest, max(max(-x1, x2), max(-y1, y2)))
        table[0, i], table[1, i], table[2, i], table[3, i] = x1, y1, x2, y2
        table[4, i] = (x2 - x1) * (y2 - y1)
    return largest if largest < np.inf else -1.0


@kernel
def all_boxes(boxes: NDArray[Any]) -> bool:
    """Return whether all coordinates of boxes (N, 4) are finite and no box has a negative size."""
    for row in range(len(boxes)):
        x1, y1, x2, y2 = boxes[row, 0], boxes[row, 1], boxes[row, 2], boxes[row, 3]
        if not (-np.inf < x1 <= x2 < np.inf and -np.inf < y1 <= y2 < np.inf):
            return False
    return True
