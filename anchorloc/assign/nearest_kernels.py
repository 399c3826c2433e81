"""The cells of every level that are nearest to a point.

points: (M, 2) float64 x, y. grids: (S,) SHAPE_GRID. cells: (M, L, N) int64.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from anchorloc.boxes.jit import kernel


@kernel
def nearest_cells(points: Any, grids: Any, cells: Any) -> None:
    """Fill `cells` (M, L, N) with the N cells of each level whose centers are nearest to each of the `points` (M, 2),
    x and y, by squared distance in float64, then index; -1 where a level has fewer."""
    away = np.empty(cells.shape[2], np.float64)
    cells[:] = -1
    for row in range(len(points)):
        s = 0
        for level in range(cells.shape[1]):
            search(points[row, 0], points[row, 1], grids[s], cells[row, level], away)
            s += grids[s].step


@kernel
def search(x: float, y: float, grid: Any, cells: Any, away: Any) -> None:
    """Fill `cells` for one point and one level, with `away` as the buffer of their distances.

    Rows, and the columns of a row, are taken outward from the point until one is too far.
    """
    wanted = min(len(cells), (grid.bottom - grid.top) * (grid.right - grid.left))
    if wanted == 0:
        return
    row = cell_before(y, grid.center_y, grid.cells_y, grid.top, grid.bottom)
    column = cell_before(x, grid.center_x, grid.cells_x, grid.left, grid.right)
    count, up, down = 0, row, row + 1
    while up >= grid.top or down < grid.bottom:
        r, dy = nearer(up, down, y, grid.center_y, grid.stride_y, grid.top, grid.bottom)
        if count == wanted and dy > away[count - 1]:
            break
        left, right = column, column + 1
        while left >= grid.left or right < grid.right:
            c, dx = nearer(left, right, x, grid.center_x, grid.stride_x, grid.left, grid.right)
            if count == wanted and dx + dy > away[count - 1]:
                break
            count = insert(dx + dy, r * grid.columns + c, cells, away, count, wanted)
            left, right = (left - 1, right) if c == left else (left, right + 1)
        up, down = (up - 1, down) if r == up else (up, down + 1)


@kernel
def cell_before(point: float, first: float, cells_per_pixel: float, start: int, end: int) -> int:
    """Return the last cell of an axis whose center is not past the point, from `start` to before `end`."""
    return int(max(min(np.floor((point - first) * cells_per_pixel), end - 1.0), np.float64(start)))


@kernel
def nearer(low: int, high: int, point: float, first: float, stride: float, start: int, end: int) -> tuple[int, float]:
    """Return the nearer of two cells of an axis (one may lie outside `start` to `end`), and its squared distance."""
    to_low = first + low * stride - point if low >= start else np.inf
    to_high = first + high * stride - point if high < end else np.inf
    if to_low * to_low <= to_high * to_high:
        return low, to_low * to_low
    return high, to_high * to_high


@kernel
def insert(distance: float, cell: int, cells: Any, away: Any, count: int, wanted: int) -> int:
    """Insert a cell into the sorted list of at most `wanted` nearest cells; return its new length."""
    place = count
    while place > 0 and (distance < away[place - 1] or (distance == away[place - 1] and cell < cells[place - 1])):
        if place < wanted:
            away[place], cells[place] = away[place - 1], cells[place - 1]
        place -= 1
    if place < wanted:
        away[place], cells[place] = distance, cell
    return min(count + 1, wanted)
