"""Lay out the boxes of a data set and the shapes of its anchors, as numbers for an SVG."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anchorloc.lab.anchor_coverage import AnchorCoverage, BoxTable, LevelShapes
from anchorloc.report.axes import Axes, Axis

WIDTH, HEIGHT = 460, 400  # user units of the scatter
LEFT, RIGHT, TOP, BOTTOM = 46, WIDTH - 14, 12, HEIGHT - 40  # edges of the plot area
MAX_POINTS = 1200  # points of each kind: more would hide each other
ROW = 150  # user units: the longest side of any shape


@dataclass(frozen=True)
class Scatter:
    """A scatter plot of the width and height of boxes and anchor shapes, on logarithmic axes."""

    assigned: str  # SVG path of dots
    unassigned: str  # SVG path of dots
    shapes: list[tuple[float, float, int, str]]  # (x, y, level, words)
    levels: int
    axes: Axes


@dataclass(frozen=True)
class ScaledShapes:
    """The shapes of one level around one center, at the scale of all levels."""

    level: int
    stride: float
    width: float  # user units of the SVG
    height: float
    shapes: list[tuple[float, float, float, float, str]]  # (x, y, width, height, words)


def scatter(found: AnchorCoverage) -> Scatter:
    """Lay out the scatter plot of a split."""
    boxes = found.boxes
    shapes = [(w, h, level) for level, row in enumerate(found.levels) for w, h in row.sizes]
    sides = np.concatenate([boxes.sizes, np.array([shape[:2] for shape in shapes])])
    low, high = math.floor(np.log2(sides.min())), math.ceil(np.log2(sides.max()))
    high = max(high, low + 1)
    ticks = [2.0**power for power in range(low, high + 1, max(1, (high - low + 5) // 6))]
    axis = Axis(2.0**low, 2.0**high, ticks, log=True)
    axes = Axes(axis, axis, WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM)
    return Scatter(
        assigned=_dots(boxes, boxes.assigned, axes),
        unassigned=_dots(boxes, ~boxes.assigned, axes),
        shapes=[(*axes.place(w, h), level, _words(w, h, found.levels[level].stride)) for w, h, level in shapes],
        levels=len(found.levels),
        axes=axes,
    )


def _dots(boxes: BoxTable, chosen: NDArray[np.bool_], axes: Axes) -> str:
    sizes = boxes.sizes[chosen]
    if len(sizes) > MAX_POINTS:
        sizes = sizes[np.linspace(0, len(sizes) - 1, MAX_POINTS).astype(int)]
    return "".join("M{:.1f} {:.1f}h0".format(*axes.place(width, height)) for width, height in sizes.tolist())


def _words(width: float, height: float, stride: float) -> str:
    return f"{width:.1f} \N{MULTIPLICATION SIGN} {height:.1f} px, stride {stride:g}"


def scaled_shapes(found: AnchorCoverage) -> list[ScaledShapes]:
    """Lay out the shapes of every level at one scale."""
    scale = ROW / max(side for row in found.levels for shape in row.sizes for side in shape)
    return [_scaled(level, row, scale) for level, row in enumerate(found.levels)]


def _scaled(level: int, row: LevelShapes, scale: float) -> ScaledShapes:
    width, height = (max(shape[axis] for shape in row.sizes) * scale + 4 for axis in (0, 1))
    shapes = [
        ((width - w * scale) / 2, (height - h * scale) / 2, w * scale, h * scale, _words(w, h, row.stride))
        for w, h in row.sizes
    ]
    return ScaledShapes(level, row.stride, width, height, shapes)
