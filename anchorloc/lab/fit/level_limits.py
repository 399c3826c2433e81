"""Limit the sizes of the shapes on each level, and the number of shapes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from anchorloc.structures import BoolArray, Float64Array, IntArray


@dataclass(frozen=True)
class LevelSizeRange:
    """Sizes that a level of stride t serves: sqrt(width * height) from `min_strides` * t to `max_strides` * t.

    The finest level also serves smaller shapes, and the coarsest larger ones. Below 2 strides, a box between the cells
    has an IoU of only 0.39 with the nearest anchor even of its own size (at worst), and its features are a few cells
    wide. RetinaNet and FCOS use no level for boxes over 8 strides. Every size in between fits two levels, so that the
    search has a choice.
    """

    strides: tuple[float, ...]
    min_strides: float = 2.0
    max_strides: float = 8.0

    def of_level(self, level: int) -> tuple[float, float]:
        """Return the least and the greatest sqrt(area) of a level in pixels."""
        stride = self.strides[level]
        low = 0.0 if stride == min(self.strides) else self.min_strides * stride
        high = math.inf if stride == max(self.strides) else self.max_strides * stride
        return low, high

    def clip(self, level: int, shapes: Float64Array) -> Float64Array:
        """Scale the `shapes` (S, 2) outside the range of a level to the nearest size inside it."""
        scale = np.sqrt(shapes.prod(axis=1))
        return np.asarray(shapes * (np.clip(scale, *self.of_level(level)) / scale)[:, None])


@dataclass(frozen=True, eq=False)
class ShapeBudget:
    """The greatest number of shapes on each level, and of anchors in the mean image."""

    cells: Float64Array  # (L,) in the mean image
    max_shapes: IntArray  # (L,)
    max_anchors: float = math.inf

    @property
    def cost(self) -> Float64Array:
        """Return the cost of one more shape on each level (L,): its anchors if these are limited, else 1."""
        return self.cells if math.isfinite(self.max_anchors) else np.ones_like(self.cells)

    def open_levels(self, levels: IntArray) -> BoolArray:
        """Return (L,) whether a level may have one more shape beside the shapes on `levels` (S,)."""
        counts = np.bincount(levels, minlength=len(self.cells))
        missing = np.where(counts == 0, self.cells, 0)  # every level gets at least one shape
        reserved = missing.sum() - missing
        anchors = (counts + 0.0) @ self.cells + reserved + self.cells
        return np.asarray((counts < self.max_shapes) & (anchors <= self.max_anchors))
