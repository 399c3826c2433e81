"""Which sizes a level can serve, and how many shapes there may be."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from anchorloc.lab.fit.box_offsets import Float64Array
from anchorloc.structures import BoolArray, IntArray


@dataclass(frozen=True)
class LevelRule:
    """A level of stride t keeps shapes whose sqrt(width * height) is from `least` * t to `most` * t; the finest level
    also takes smaller ones, the coarsest larger ones.

    Below 2 strides a box that falls between the cells shares too little with any anchor of even its own size (IoU 0.39
    at worst), and its features are a few cells wide. Past 8 strides a box is larger than RetinaNet or FCOS ask of a
    level. Every size between has two levels, so that the search has a choice.
    """

    strides: tuple[float, ...]
    least: float = 2.0
    most: float = 8.0

    def band(self, level: int) -> tuple[float, float]:
        """The least and the greatest sqrt(area) in pixels."""
        stride = self.strides[level]
        low = 0.0 if stride == min(self.strides) else self.least * stride
        high = math.inf if stride == max(self.strides) else self.most * stride
        return low, high

    def clip(self, level: int, shapes: Float64Array) -> Float64Array:
        """Scale those of `shapes` (S, 2) that a level cannot serve to the nearest size that it can."""
        scale = np.sqrt(shapes.prod(axis=1))
        return np.asarray(shapes * (np.clip(scale, *self.band(level)) / scale)[:, None])


@dataclass(frozen=True, eq=False)
class Room:
    """How many shapes each level may have: at most `most` of them, whose anchors in the mean image are at most
    `anchors`."""

    cells: Float64Array  # (L,)
    most: IntArray  # (L,)
    anchors: float = math.inf

    @property
    def price(self) -> Float64Array:
        """(L,) what a shape costs: anchors where they are limited, else nothing but its place."""
        return self.cells if math.isfinite(self.anchors) else np.ones_like(self.cells)

    def left(self, levels: IntArray) -> BoolArray:
        """(L,) the levels that may have one more shape beside those on `levels` (S,)."""
        counts = np.bincount(levels, minlength=len(self.cells))
        missing = np.where(counts == 0, self.cells, 0)  # every level gets at least one
        reserved = missing.sum() - missing
        return np.asarray((counts < self.most) & ((counts + 0.0) @ self.cells + reserved + self.cells <= self.anchors))
