"""Boxes and an AnchorGrid as the kernels read them: one record per shape and level, and a small table of edges."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anchorloc.boxes.checks import as_boxes, as_flags, as_rows
from anchorloc.structures import AnchorGrid, AnchorLevel

SHAPE_GRID = np.dtype(
    (
        np.record,  # a record's fields are attributes without numba too
        [
            # anchor (row, column) is first + step * (row * columns + column)
            *((name, np.int64) for name in ("first", "step", "rows", "columns")),
            # the cells that take part: first row and column, and one past the last
            *((name, np.int64) for name in ("top", "left", "bottom", "right")),
            # its edges are edges[x1 + column], edges[y1 + row], edges[x2 + column], edges[y2 + row]
            *((name, np.int64) for name in ("x1", "y1", "x2", "y2")),
            # pixels: center of cell (0, 0), distance of cells; then cells per pixel, 1 for a stride of 0
            *((name, np.float64) for name in ("center_x", "center_y", "stride_x", "stride_y", "cells_x", "cells_y")),
            # pixels, bounds over all cells: greatest sides, smallest area, greatest distance of an edge from its center
            *((name, np.float64) for name in ("width", "height", "area", "reach_x", "reach_y")),
        ],
    )
)

_known: WeakKeyDictionary[AnchorGrid, tuple[NDArray[np.float32], NDArray[Any]]] = WeakKeyDictionary()


def shape_grids(grid: AnchorGrid) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """Return the edges of `grid`, float32, end to end, and its S shape grids, (S,) of SHAPE_GRID; made once for a grid.

    Raises:
        ValueError: it is no AnchorGrid.
    """
    if not isinstance(grid, AnchorGrid):
        raise ValueError(f"grid must be an AnchorGrid, which an AnchorGenerator gives, got {type(grid).__name__}")
    tables = _known.get(grid)
    if tables is None:
        tables = _known[grid] = _build(grid) if grid.whole is None else _restricted(grid, *shape_grids(grid.whole))
    return tables


def _restricted(
    grid: AnchorGrid, edges: NDArray[np.float32], whole: NDArray[Any]
) -> tuple[NDArray[np.float32], NDArray[Any]]:
    blocks = whole.copy()
    shapes = [level.shapes for level in grid.levels]
    for name, cells in zip(("top", "left", "bottom", "right"), np.array(grid.cells).T, strict=True):
        blocks[name] = np.repeat(cells, shapes)
    return edges, blocks


def _build(grid: AnchorGrid) -> tuple[NDArray[np.float32], NDArray[Any]]:
    edges: list[NDArray[np.float32]] = []
    blocks = []
    first = begin = 0
    for level in grid.levels:
        rows, columns = level.grid_size
        block = np.zeros(level.shapes, SHAPE_GRID)
        k = np.arange(level.shapes)
        block["first"], block["step"] = first + k, level.shapes
        block["rows"], block["columns"] = block["bottom"], block["right"] = rows, columns
        for name, cells in (("x1", columns), ("y1", rows), ("x2", columns), ("y2", rows)):
            edges.append(getattr(level, name).ravel())
            block[name] = begin + k * cells
            begin += level.shapes * cells
        _bound(block, level)
        blocks.append(block)
        first += len(level)
    return np.concatenate(edges).astype(np.float32, copy=False), np.concatenate(blocks)


def _bound(block: NDArray[Any], level: AnchorLevel) -> None:
    """Measure how the edges lie about the cell centers.

    The kernels search by these bounds, so that they are exact for edges rounded to float32 and for any other grid: a
    grid whose shapes vary from cell to cell is searched wider, not wrongly.
    """
    y, x = level.centers
    shortest = []
    for axis, side, centers, low, high, stride in (
        ("x", "width", x, level.x1, level.x2, level.stride[1]),
        ("y", "height", y, level.y1, level.y2, level.stride[0]),
    ):
        length = high.astype(np.float64) - low
        block[f"center_{axis}"] = centers[0]
        block[f"stride_{axis}"] = stride
        block[f"cells_{axis}"] = 1 / stride if stride else 1.0
        block[side] = length.max(axis=1)
        reach = np.maximum(high - centers, centers - low).max(axis=1)
        block[f"reach_{axis}"] = reach if stride else np.inf  # all cells lie on one another: search them all
        shortest.append(length.min(axis=1))
    block["area"] = shortest[0] * shortest[1]


def boxes_and_crowd(boxes: ArrayLike, crowd: ArrayLike | None) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return `boxes` as a new (M, 4) float32 array and `crowd` as (M,) bool.

    Raises:
        ValueError: a box that is not finite, not in float32's range or of negative size; a `crowd` of another length.
    """
    from anchorloc.boxes import table_kernels

    given = np.array(as_rows(boxes, "boxes"), order="C")
    if not table_kernels.all_boxes(given):
        as_boxes(given)  # raises, naming the row
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
