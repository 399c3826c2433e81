"""An AnchorGrid as the three small arrays that the kernels read."""

from __future__ import annotations

from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from anchorloc.structures import AnchorGrid, AnchorLevel


class Tables(NamedTuple):
    """A grid as S lattices, one for each shape of each level: anchor (row, column) of a lattice has the edges
    x1[column], y1[row], x2[column], y2[row] and the number first + step * (row * columns + column)."""

    edges: NDArray[np.float32]  # the x1, x2, y1, y2 of all lattices, end to end
    layout: NDArray[np.int64]  # (S, 8) first, step, rows, columns, and where x1, x2, y1, y2 begin in edges
    geometry: NDArray[np.float64]  # (S, 8) x then y: center of cell 0, stride, length, largest error of an edge


_known: WeakKeyDictionary[AnchorGrid, Tables] = WeakKeyDictionary()


def tables_of(grid: AnchorGrid) -> Tables:
    """Return the tables of `grid`, which are made once."""
    tables = _known.get(grid)
    if tables is None:
        tables = _known[grid] = _build(grid)
    return tables


def _build(grid: AnchorGrid) -> Tables:
    edges: list[NDArray[np.float32]] = []
    layout: list[tuple[int, ...]] = []
    geometry: list[tuple[float, ...]] = []
    first = begin = 0
    for level in grid.levels:
        rows, columns = level.grid_size
        edges += [table.ravel() for table in (level.x1, level.x2, level.y1, level.y2)]
        below = begin + 2 * columns * level.shapes
        for k, lines in enumerate(_lines(level)):
            x, y = begin + k * columns, below + k * rows
            starts = (x, x + columns * level.shapes, y, y + rows * level.shapes)
            layout.append((first + k, level.shapes, rows, columns, *starts))
            geometry.append(lines)
        begin = below + 2 * rows * level.shapes
        first += len(level)
    return Tables(np.concatenate(edges).astype(np.float32), np.array(layout, np.int64), np.array(geometry, np.float64))


def _lines(level: AnchorLevel) -> list[tuple[float, ...]]:
    """The straight lines that the edges of each shape follow, and how far the edges stray from them.

    The kernels look for anchors along the lines, so the measured error, not a belief about the generator, is what
    makes their search safe: edges are rounded to float32, and a stranger's grid may not be even at all.
    """
    y, x = level.centers
    sides = []
    for centers, stride, low, high in (
        (x, level.stride[1], level.x1, level.x2),
        (y, level.stride[0], level.y1, level.y2),
    ):
        length = high[:, :1].astype(np.float64) - low[:, :1]  # (K, 1)
        error = np.maximum(abs(low - (centers - length / 2)), abs(high - (centers + length / 2))).max(axis=1)
        sides.append([(centers[0], stride, *pair) for pair in zip(length[:, 0], error, strict=True)])
    return [(*across, *down) for across, down in zip(*sides, strict=True)]
