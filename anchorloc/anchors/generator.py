"""Generate the anchors of an image from shapes and strides."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anchorloc.anchors.checks import (
    covering_grid,
    grid_sizes_checked,
    image_size_checked,
    levels_agree,
    positive_numbers,
)
from anchorloc.anchors.torchvision import TorchvisionAnchors, TorchvisionSSDAnchors
from anchorloc.structures import AnchorGrid, AnchorLevel, Float64Array, Size

Shapes = tuple[tuple[float, float], ...]  # (width, height) in pixels of the K anchors of a cell


@dataclass(frozen=True)
class AnchorGenerator:
    """Give every cell of every level the same few shapes, centered on the cell.

    An anchor of scale s and ratio r on a level of stride t has the area (s * t)**2 and r = height / width; a cell
    holds them ratio by ratio, the scales of a ratio in the order given. Nothing is rounded.

    Args:
        strides: pixels between the cells of each level, the same down and across.
        scales: multiples of the stride, either the same for all levels or one list per level.
        height_to_width: aspect ratios, the same for all levels.
        shapes: (width, height) in pixels, one list per level, in place of scales and ratios.

    Raises:
        ValueError: a number is not above 0, or the levels do not fit together.
    """

    strides: tuple[float, ...] = (8, 16, 32, 64, 128)  # pixels between the cells of each level
    scales: tuple[float, ...] | tuple[tuple[float, ...], ...] = (4, 5, 6.3)  # sqrt(area) in strides, one list for all
    # levels or one per level
    height_to_width: tuple[float, ...] = (0.5, 1, 2)  # aspect ratios of every level
    shapes: tuple[tuple[tuple[float, float], ...], ...] | None = None  # (width, height) in pixels, one list per level;
    # replaces scales and height_to_width

    def __post_init__(self) -> None:
        object.__setattr__(self, "strides", positive_numbers("strides", self.strides))
        object.__setattr__(self, "height_to_width", positive_numbers("height_to_width", self.height_to_width))
        object.__setattr__(self, "scales", self._scales_checked())
        if self.shapes is not None:
            object.__setattr__(self, "shapes", _shapes_checked(self.shapes, self.strides))

    def _scales_checked(self) -> tuple[Any, ...]:
        scales = tuple(self.scales)
        nested = [np.iterable(scale) for scale in scales]
        if not any(nested):
            return positive_numbers("scales", scales)
        if not all(nested):
            raise ValueError(f"scales mixes numbers and lists, {scales}; give numbers alone, or one list per level")
        levels_agree("scales", len(scales), self.strides)
        return tuple(positive_numbers(f"scales[{level}]", scale) for level, scale in enumerate(scales))

    @property
    def level_scales(self) -> tuple[tuple[float, ...], ...]:
        """The scales of each level."""
        lists = tuple(scale for scale in self.scales if isinstance(scale, tuple))
        numbers = tuple(scale for scale in self.scales if not isinstance(scale, tuple))
        return lists or (numbers,) * len(self.strides)

    @property
    def level_shapes(self) -> tuple[Shapes, ...]:
        """The (width, height) in pixels of every anchor of a cell, level by level."""
        if self.shapes is not None:
            return self.shapes
        return tuple(
            tuple(
                (scale * stride / math.sqrt(ratio), scale * stride * math.sqrt(ratio))
                for ratio in self.height_to_width
                for scale in scales
            )
            for stride, scales in zip(self.strides, self.level_scales, strict=True)
        )

    @property
    def shapes_per_level(self) -> tuple[int, ...]:
        """K of each level."""
        return tuple(len(shapes) for shapes in self.level_shapes)

    def __call__(self, image_size: Sequence[int], grid_sizes: Sequence[Sequence[int]] | None = None) -> AnchorGrid:
        """Return the anchors of an image of (height, width) pixels.

        Args:
            image_size: (height, width) of the image, or of the padded batch.
            grid_sizes: (rows, columns) of each level where they are not ceil(image / stride); the strides are then
                image / grid, down and across.

        Raises:
            ValueError: a size is below 1, or there are not as many grid sizes as levels.
        """
        size = image_size_checked(image_size)
        if grid_sizes is None:
            grids = tuple(covering_grid(size, stride) for stride in self.strides)
            strides = tuple((float(stride), float(stride)) for stride in self.strides)
        else:
            grids = grid_sizes_checked(grid_sizes, len(self.strides))
            strides = tuple((size[0] / rows, size[1] / columns) for rows, columns in grids)
        levels = zip(grids, strides, self.level_shapes, strict=True)
        return AnchorGrid(size, tuple(_level(grid, stride, shapes) for grid, stride, shapes in levels))

    def describe(self) -> str:
        """Return a table of the shapes in pixels, one line per anchor of a cell."""
        lines = [f"{'level':>5} {'stride':>8} {'width':>9} {'height':>9} {'height/width':>12} {'sqrt(area)':>10}"]
        for level, (stride, shapes) in enumerate(zip(self.strides, self.level_shapes, strict=True)):
            for width, height in shapes:
                numbers = f"{width:9.2f} {height:9.2f} {height / width:12.3f} {math.sqrt(width * height):10.2f}"
                lines.append(f"{level:5} {stride:8g} {numbers}")
        return "\n".join(lines)

    @staticmethod
    def torchvision(
        sizes: Sequence[Sequence[float]],
        aspect_ratios: Sequence[Sequence[float]],
        strides: Sequence[float] | None = None,
    ) -> TorchvisionAnchors:
        """Return a generator bit-equal to torchvision's `AnchorGenerator`, so that its RetinaNet weights fit."""
        return TorchvisionAnchors(_nested(sizes), _nested(aspect_ratios), () if strides is None else tuple(strides))

    @staticmethod
    def torchvision_ssd(aspect_ratios: Sequence[Sequence[float]], **settings: Any) -> TorchvisionSSDAnchors:
        """Return a generator bit-equal to torchvision's `DefaultBoxGenerator` of the same arguments."""
        return TorchvisionSSDAnchors(_nested(aspect_ratios), **settings)


def _nested(rows: Sequence[Sequence[float]]) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in rows)


def _shapes_checked(levels: Any, strides: tuple[float, ...]) -> tuple[Shapes, ...]:
    levels_agree("shapes", len(levels), strides)
    for level, shapes in enumerate(levels):
        if not len(shapes):
            raise ValueError(f"shapes[{level}] is empty; give every level at least one (width, height)")
    return tuple(
        tuple(_shape_checked(f"shapes[{level}][{index}]", shape) for index, shape in enumerate(shapes))
        for level, shapes in enumerate(levels)
    )


def _shape_checked(name: str, shape: Any) -> tuple[float, float]:
    if not isinstance(shape, Sequence | np.ndarray) or len(shape) != 2:
        raise ValueError(f"{name} must be (width, height), got {shape!r}")
    width, height = positive_numbers(name, shape)
    return width, height


def _level(grid: Size, stride: tuple[float, float], shapes: Shapes) -> AnchorLevel:
    """Build the edges in float64 and round once, to float32."""
    first = (0.5 * stride[0], 0.5 * stride[1])
    y = (np.arange(grid[0]) + 0.5) * stride[0]  # (H,)
    x = (np.arange(grid[1]) + 0.5) * stride[1]  # (W,)
    half = np.array(shapes) / 2
    width, height = half[:, :1], half[:, 1:]  # (K, 1)
    return AnchorLevel(stride, first, _edge(x - width), _edge(y - height), _edge(x + width), _edge(y + height))


def _edge(values: Float64Array) -> NDArray[np.float32]:
    return values.astype(np.float32)
