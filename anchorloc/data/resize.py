"""Resize policies: how large an image is for the network. Each maps a size to (canvas size, scale down and across)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from anchorloc.errors import InputError

MAX_SIDE = 1 << 15  # pixels: more fit no memory
Size = tuple[int, int]  # (height, width)
Scale = tuple[float, float]  # (vertical, horizontal)


@dataclass(frozen=True)
class ShortestSide:
    """Scale so that the shorter side has `size` pixels, unless the longer one would pass `max_size`."""

    size: int = 800
    max_size: int = 1333
    exact: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _check_sides(self.size, self.max_size)

    def __call__(self, size: Size) -> tuple[Size, Scale]:
        """Return the scaled size and the scale."""
        scale = min(self.size / min(size), self.max_size / max(size))
        return scaled(size, (scale, scale)), (scale, scale)


@dataclass(frozen=True)
class Letterbox:
    """Scale to fit inside (height, width), and fill up at the right and the bottom."""

    height: int = 320
    width: int = 320
    exact: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _check_canvas(self.height, self.width)

    def __call__(self, size: Size) -> tuple[Size, Scale]:
        """Return (height, width) and the scale that fits an image into it."""
        scale = min(self.height / size[0], self.width / size[1])
        return (self.height, self.width), (scale, scale)


@dataclass(frozen=True)
class Keep:
    """Leave images as large as they are."""

    exact: ClassVar[bool] = False

    def __call__(self, size: Size) -> tuple[Size, Scale]:
        """Return the size and 1."""
        return size, (1.0, 1.0)


@dataclass(frozen=True)
class TorchvisionShortestSide:
    """`ShortestSide` as torchvision's RetinaNet has it: sizes rounded down, pixels interpolated without antialiasing.

    In evaluation the pixels are not rounded to bytes again, so that its weights meet what they were trained on.
    """

    size: int = 800
    max_size: int = 1333
    exact: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check_sides(self.size, self.max_size)

    def __call__(self, size: Size) -> tuple[Size, Scale]:
        """Return the scaled size and the scale down and across, which differ by the rounding."""
        scale = min(self.size / min(size), self.max_size / max(size))
        height, width = (max(1, math.floor(side * scale)) for side in size)
        return (height, width), (height / size[0], width / size[1])


@dataclass(frozen=True)
class TorchvisionStretch:
    """Scale to (height, width) whatever the aspect ratio, as torchvision's SSDs do; pixels as in the class above."""

    height: int = 300
    width: int = 300
    exact: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check_canvas(self.height, self.width)

    def __call__(self, size: Size) -> tuple[Size, Scale]:
        """Return (height, width) and the scale down and across."""
        return (self.height, self.width), (self.height / size[0], self.width / size[1])


def scaled(size: Size, scale: Scale) -> Size:
    """Scale (height, width) by (vertical, horizontal) to whole pixels, at least 1."""
    return max(1, round(size[0] * scale[0])), max(1, round(size[1] * scale[1]))


def resized(size: Size, factor: float) -> Size:
    """Scale (height, width) by one factor; by 1 nothing changes."""
    return scaled(size, (factor, factor))


def _check_sides(size: int, max_size: int) -> None:
    if not 1 <= size <= max_size <= MAX_SIDE:
        raise InputError(f"need 1 <= size <= max_size <= {MAX_SIDE}, got {size} and {max_size}")


def _check_canvas(height: int, width: int) -> None:
    if not 1 <= min(height, width) <= max(height, width) <= MAX_SIDE:
        raise InputError(f"height and width must be from 1 to {MAX_SIDE} px, got {height} and {width}")
