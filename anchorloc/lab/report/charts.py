"""The boxes of a data set beside the shapes of its anchors, as the numbers that an SVG needs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anchorloc.lab.anchor_coverage import BoxTable, LevelShapes, Survey
from anchorloc.report.axes import Axes, Axis

WIDTH, HEIGHT = 460, 400  # user units of the scatter
LEFT, RIGHT, TOP, BOTTOM = 46, WIDTH - 14, 12, HEIGHT - 40  # edges of the plot area
MOST_POINTS = 1200  # of each kind: more hide one another
ROW = 150  # user units: the height of the largest shape, drawn to scale


@dataclass(frozen=True)
class Scatter:
    """Width against height of boxes and shapes, both axes logarithmic."""

    learned: str  # a path of dots
    lost: str
    shapes: list[tuple[float, float, int, str]]  # (x, y, level, words)
    levels: int
    axes: Axes


@dataclass(frozen=True)
class ScaledShapes:
    """The shapes of one level about one center, at the scale that all levels share."""

    level: int
    stride: float
    width: float  # user units of the picture, and of its rectangles below
    height: float
    shapes: list[tuple[float, float, float, float, str]]  # (x, y, width, height, words)


def scatter(found: Survey) -> Scatter:
    """Lay out the boxes of a survey and the shapes of its anchors."""
    boxes = found.boxes
    shapes = [(w, h, level) for level, row in enumerate(found.levels) for w, h in row.sizes]
    sides = np.concatenate([boxes.sizes, np.array([shape[:2] for shape in shapes])])
    low, high = math.floor(np.log2(sides.min())), math.ceil(np.log2(sides.max()))
    high = max(high, low + 1)
    ticks = [2.0**power for power in range(low, high + 1, max(1, (high - low + 5) // 6))]
    axis = Axis(2.0**low, 2.0**high, ticks, log=True)
    axes = Axes(axis, axis, WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM)
    return Scatter(
        learned=_dots(boxes, boxes.learned, axes),
        lost=_dots(boxes, ~boxes.learned, axes),
        shapes=[(*axes.place(w, h), level, f"{w:.1f} x {h:.1f} px on level {level}") for w, h, level in shapes],
        levels=len(found.levels),
        axes=axes,
    )


def _dots(boxes: BoxTable, chosen: NDArray[np.bool_], axes: Axes) -> str:
    sizes = boxes.sizes[chosen]
    if len(sizes) > MOST_POINTS:
        sizes = sizes[np.linspace(0, len(sizes) - 1, MOST_POINTS).astype(int)]
    return "".join("M{:.1f} {:.1f}h0".format(*axes.place(width, height)) for width, height in sizes.tolist())


def scaled_shapes(found: Survey) -> list[ScaledShapes]:
    """Lay out the shapes of every level to one scale."""
    scale = ROW / max(side for row in found.levels for shape in row.sizes for side in shape)
    return [_scaled(level, row, scale) for level, row in enumerate(found.levels)]


def _scaled(level: int, row: LevelShapes, scale: float) -> ScaledShapes:
    width, height = (max(shape[axis] for shape in row.sizes) * scale + 4 for axis in (0, 1))
    shapes = [
        ((width - w * scale) / 2, (height - h * scale) / 2, w * scale, h * scale, f"{w:.1f} x {h:.1f} px")
        for w, h in row.sizes
    ]
    return ScaledShapes(level, row.stride, width, height, shapes)
