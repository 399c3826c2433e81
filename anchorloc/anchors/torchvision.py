"""The anchors of torchvision 0.26 and later, bit for bit in NumPy, so that its detection weights can be loaded.

Every operation below is the float32 (or float64) operation that `torchvision/models/detection/anchor_utils.py` makes,
in its order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anchorloc.anchors.checks import (
    covering_grid,
    grid_sizes_checked,
    image_size_checked,
    levels_agree,
    positive_numbers,
)
from anchorloc.structures import AnchorGrid, AnchorLevel, Size

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class TorchvisionAnchors:
    """torchvision's `AnchorGenerator`: half sizes are rounded to whole pixels, the stride is image // grid, and the
    center of cell (0, 0) is the corner of the image.

    Args:
        sizes: sqrt(area) in pixels, one list per level.
        aspect_ratios: height / width, one list per level.
        strides: strides of the feature maps if no grid sizes are given; empty is 8, 16, 32, ... as in RetinaNet.
    """

    sizes: tuple[tuple[float, ...], ...]  # sqrt(area) in pixels, one list per level
    aspect_ratios: tuple[tuple[float, ...], ...]  # height / width, one list per level
    strides: tuple[float, ...] = ()  # pixels between the cells of each level; empty is 8, 16, 32, ...

    def __post_init__(self) -> None:
        strides = self.strides if len(self.strides) else tuple(8 * 2**level for level in range(len(self.sizes)))
        object.__setattr__(self, "strides", positive_numbers("strides", strides))
        for name in ("sizes", "aspect_ratios"):
            levels = getattr(self, name)
            levels_agree(name, len(levels), strides)
            checked = tuple(positive_numbers(f"{name}[{level}]", row) for level, row in enumerate(levels))
            object.__setattr__(self, name, checked)

    @property
    def shapes_per_level(self) -> tuple[int, ...]:
        """K of each level."""
        return tuple(len(s) * len(r) for s, r in zip(self.sizes, self.aspect_ratios, strict=True))

    def __call__(self, image_size: Sequence[int], grid_sizes: Sequence[Sequence[int]] | None = None) -> AnchorGrid:
        """Return the anchors of an image of (height, width) pixels; the cells of level l are grid_sizes[l], else
        ceil(image / stride).

        Raises:
            ValueError: a size is below 1, or there are not as many grid sizes as levels.
        """
        size = image_size_checked(image_size)
        if grid_sizes is None:
            grids = tuple(covering_grid(size, stride) for stride in self.strides)
        else:
            grids = grid_sizes_checked(grid_sizes, len(self.sizes))
        levels = zip(self.sizes, self.aspect_ratios, grids, strict=True)
        return AnchorGrid(size, tuple(_rounded_level(size, *level) for level in levels))


def _rounded_level(image: Size, sizes: Sequence[float], ratios: Sequence[float], grid: Size) -> AnchorLevel:
    scale: Floats = np.array(sizes, np.float32)
    height_ratio: Floats = np.sqrt(np.array(ratios, np.float32))
    width_ratio: Floats = np.float32(1) / height_ratio
    right: Floats = np.round((width_ratio[:, None] * scale).reshape(-1, 1) / np.float32(2))  # (K, 1)
    bottom: Floats = np.round((height_ratio[:, None] * scale).reshape(-1, 1) / np.float32(2))
    stride = (image[0] // grid[0], image[1] // grid[1])
    y: Floats = (np.arange(grid[0]) * stride[0]).astype(np.float32)  # (H,)
    x: Floats = (np.arange(grid[1]) * stride[1]).astype(np.float32)  # (W,)
    return AnchorLevel((float(stride[0]), float(stride[1])), (0.0, 0.0), x - right, y - bottom, x + right, y + bottom)


@dataclass(frozen=True)
class TorchvisionSSDAnchors:
    """torchvision's `DefaultBoxGenerator` (Liu et al., SSD: Single Shot MultiBox Detector, 2016, section 2.2).

    The shapes are fractions of the image's sides. Level l has 2 square shapes and 2 more per aspect ratio.

    Args:
        aspect_ratios: one list per level; each ratio r is used as r and as 1 / r.
        min_ratio: scale of the first level, where `scales` is not given.
        max_ratio: scale of the last level, where `scales` is not given.
        scales: fractions of the image, one per level and one more.
        steps: pixels between the cells of each level; None is image / grid.
        clip: whether no shape is larger than the image.
        strides: strides of the feature maps if no grid sizes are given; empty is `steps`. Without both, each call
            needs grid sizes.
    """

    aspect_ratios: tuple[tuple[float, ...], ...]  # one list per level; each ratio r gives r and 1 / r
    min_ratio: float = 0.15  # scale of the first level without `scales`, as a fraction of the image
    max_ratio: float = 0.9  # scale of the last level without `scales`, as a fraction of the image
    scales: tuple[float, ...] | None = None  # fractions of the image; levels + 1 values
    steps: tuple[float, ...] | None = None  # pixels between the cells of each level; null is image / grid
    clip: bool = True  # limit the shapes to the size of the image
    strides: tuple[float, ...] = ()  # strides of the feature maps in pixels; empty is `steps`

    def __post_init__(self) -> None:
        levels = len(self.aspect_ratios)
        if not levels:
            raise ValueError("aspect_ratios is empty; give one list per level")
        for level, ratios in enumerate(self.aspect_ratios):
            if len(ratios):  # a level may have its two squares alone
                positive_numbers(f"aspect_ratios[{level}]", ratios)
        positive_numbers("min_ratio and max_ratio", (self.min_ratio, self.max_ratio))
        if self.scales is not None:
            object.__setattr__(self, "scales", positive_numbers("scales", self.scales))
            if len(self.scales) <= levels:
                raise ValueError(f"scales has {len(self.scales)} numbers, but {levels} levels need {levels + 1}")
        if self.steps is not None:
            object.__setattr__(self, "steps", positive_numbers("steps", self.steps))
            levels_agree("aspect_ratios", levels, self.steps)
        strides = self.strides if len(self.strides) else self.steps
        if strides is not None:
            object.__setattr__(self, "strides", positive_numbers("strides", strides))
            levels_agree("aspect_ratios", levels, strides)

    @property
    def shapes_per_level(self) -> tuple[int, ...]:
        """K of each level."""
        return tuple(2 + 2 * len(ratios) for ratios in self.aspect_ratios)

    @property
    def level_scales(self) -> tuple[float, ...]:
        """The scale of every level, and the one after the last."""
        if self.scales is not None:
            return self.scales
        levels = len(self.aspect_ratios)
        if levels == 1:
            return self.min_ratio, self.max_ratio
        rise = self.max_ratio - self.min_ratio
        return *(self.min_ratio + rise * level / (levels - 1.0) for level in range(levels)), 1.0

    def __call__(self, image_size: Sequence[int], grid_sizes: Sequence[Sequence[int]] | None = None) -> AnchorGrid:
        """Return the anchors of an image of (height, width) pixels; the cells of level l are grid_sizes[l], else
        ceil(image / stride).

        Raises:
            ValueError: a size is below 1, or grid sizes are missing or not as many as levels.
        """
        size = image_size_checked(image_size)
        if grid_sizes is not None:
            grids = grid_sizes_checked(grid_sizes, len(self.aspect_ratios))
        elif self.strides:
            grids = tuple(covering_grid(size, stride) for stride in self.strides)
        else:
            raise ValueError(
                "SSD anchors without steps or strides need grid_sizes, the (rows, columns) of each feature map"
            )
        return AnchorGrid(size, tuple(self._level(level, size, grid) for level, grid in enumerate(grids)))

    def _level(self, level: int, image: Size, grid: Size) -> AnchorLevel:
        shapes = self._shapes(level)
        cells = grid if self.steps is None else (image[0] / self.steps[level], image[1] / self.steps[level])
        y1, y2 = _side(image[0], grid[0], cells[0], shapes[:, 1:])
        x1, x2 = _side(image[1], grid[1], cells[1], shapes[:, :1])
        stride = (image[0] / cells[0], image[1] / cells[1])
        return AnchorLevel(stride, (0.5 * stride[0], 0.5 * stride[1]), x1, y1, x2, y2)

    def _shapes(self, level: int) -> Floats:
        """(K, 2) width and height as fractions of the image."""
        scale, following = self.level_scales[level : level + 2]
        between = math.sqrt(scale * following)
        shapes = [(scale, scale), (between, between)]
        for ratio in self.aspect_ratios[level]:
            width, height = scale * math.sqrt(ratio), scale / math.sqrt(ratio)
            shapes += [(width, height), (height, width)]
        array = np.array(shapes, np.float32)
        return array.clip(0, 1) if self.clip else array


def _side(image: int, cells: int, cells_in_image: float, lengths: Floats) -> tuple[Floats, Floats]:
    """The two edges (K, cells) along one axis, for lengths (K, 1) in fractions of the image."""
    center = (np.arange(cells, dtype=np.float32) + np.float32(0.5)) / np.float32(cells_in_image)
    half = np.float32(0.5) * lengths
    return (center - half) * np.float32(image), (center + half) * np.float32(image)
