"""Checks of the arguments of anchor generators, and the sizes of feature maps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from anchorloc.structures import Size

LEAST, MOST = 1e-3, 1e6  # strides and sides are in pixels


def positive_numbers(name: str, values: Any) -> tuple[float, ...]:
    """Return `values` as Python's numbers; a ValueError unless there is at least one and all are in range.

    The range bounds the sizes of anchors and grids, which are otherwise no floats or no memory can hold.
    """
    if isinstance(values, str) or not np.iterable(values):
        raise ValueError(f"{name} must be a list of numbers above 0, got {values!r}")
    numbers = tuple(value.item() if isinstance(value, np.generic) else value for value in values)
    if not numbers:
        raise ValueError(f"{name} is empty; give at least one number above 0")
    for value in numbers:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
            raise ValueError(f"{name} must be finite numbers above 0, got {value!r}")
        if not LEAST <= value <= MOST:
            raise ValueError(f"{name} must be from {LEAST:g} to {MOST:,.0f}, got {value!r}")
    return numbers


def levels_agree(name: str, given: int, strides: Sequence[float]) -> None:
    """Raise ValueError unless `given`, the number of levels of `name`, is the number of strides."""
    if given != len(strides):
        raise ValueError(f"{name} is given for {given} levels but there are {len(strides)} strides; give one each")


def image_size_checked(image_size: Sequence[int]) -> Size:
    """Return (height, width); a ValueError unless both are whole numbers of at least 1."""
    try:
        height, width = (int(side) for side in image_size)
        whole = (height, width) == tuple(image_size)
    except (TypeError, ValueError, OverflowError):
        whole = False
    if not whole or min(height, width) < 1:
        raise ValueError(f"image_size must be (height, width) in whole pixels from 1, got {image_size!r}")
    return height, width


def grid_sizes_checked(grid_sizes: Sequence[Sequence[int]], levels: int) -> tuple[Size, ...]:
    """Return (rows, columns) of each level; a ValueError unless there are `levels` of them, all at least 1."""
    sizes = tuple((int(rows), int(columns)) for rows, columns in grid_sizes)
    if len(sizes) != levels:
        raise ValueError(f"grid_sizes has {len(sizes)} levels but the anchors have {levels}")
    for level, size in enumerate(sizes):
        if size != tuple(grid_sizes[level]) or min(size) < 1:
            raise ValueError(f"grid_sizes[{level}] must be whole (rows, columns) from 1, got {grid_sizes[level]}")
    return sizes


def covering_grid(image_size: Size, stride: float) -> Size:
    """(rows, columns) of the cells of `stride` pixels that cover the image, the last one perhaps in part."""
    return math.ceil(image_size[0] / stride), math.ceil(image_size[1] / stride)
