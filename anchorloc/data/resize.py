"""Resize policies: the size of an image for the network. Each maps an image size to (canvas size, scale)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from anchorloc.errors import InputError
from anchorloc.structures import Float32Array, IntArray, Pixels, Scale, Size

MAX_SIDE = 1 << 15  # pixels; a larger square fits no memory


@dataclass(frozen=True)
class ShortestSide:
    """Scale the shorter side to `size` pixels, or the longer side to `max_size` if it would be longer."""

    size: int = 800  # length of the shorter side, in pixels
    max_size: int = 1333  # largest length of the longer side, in pixels
    exact: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _check_sides(self.size, self.max_size)

    def __call__(self, size: Size) -> tuple[Size, Scale]:
        """Return the scaled size and the scale, equal in both directions."""
        scale = min(self.size / min(size), self.max_size / max(size))
        return scaled(size, (scale, scale)), (scale, scale)


@dataclass(frozen=True)
class Letterbox:
    """Scale to fit inside (height, width) and pad at the right and the bottom."""

    height: int = 320  # pixels
    width: int = 320  # pixels
    exact: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _check_canvas(self.height, self.width)

    def __call__(self, size: Size) -> tuple[Size, Scale]:
        """Return (height, width) and the scale that fits an image into them."""
        scale = min(self.height / size[0], self.width / size[1])
        return (self.height, self.width), (scale, scale)


@dataclass(frozen=True)
class Keep:
    """Keep the size of each image."""

    exact: ClassVar[bool] = False

    def __call__(self, size: Size) -> tuple[Size, Scale]:
        """Return the size and 1."""
        return size, (1.0, 1.0)


@dataclass(frozen=True)
class TorchvisionShortestSide:
    """`ShortestSide` as in torchvision's RetinaNet: sizes are rounded down, and there is no antialiasing.

    In evaluation, interpolated pixels stay float32, as torchvision's weights were trained on them.
    """

    size: int = 800  # length of the shorter side, in pixels
    max_size: int = 1333  # largest length of the longer side, in pixels
    exact: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check_sides(self.size, self.max_size)

    def __call__(self, size: Size) -> tuple[Size, Scale]:
        """Return the scaled size and the (vertical, horizontal) scale, which differ by rounding."""
        scale = min(self.size / min(size), self.max_size / max(size))
        height, width = (max(1, math.floor(side * scale)) for side in size)
        return (height, width), (height / size[0], width / size[1])


@dataclass(frozen=True)
class TorchvisionStretch:
    """Scale to (height, width) without keeping the aspect ratio, as torchvision's SSDs do.

    Pixels are interpolated as by `TorchvisionShortestSide`.
    """

    height: int = 300  # pixels
    width: int = 300  # pixels
    exact: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check_canvas(self.height, self.width)

    def __call__(self, size: Size) -> tuple[Size, Scale]:
        """Return (height, width) and the (vertical, horizontal) scale."""
        return (self.height, self.width), (self.height / size[0], self.width / size[1])


def scaled(size: Size, scale: Scale) -> Size:
    """Scale a size to whole pixels, at least 1."""
    return max(1, round(size[0] * scale[0])), max(1, round(size[1] * scale[1]))


def resized(size: Size, factor: float) -> Size:
    """Scale a size by one factor to whole pixels."""
    return scaled(size, (factor, factor))


def interpolate(image: Pixels, size: Size) -> Float32Array:
    """Scale pixels (H, W, 3) to (height, width) by bilinear interpolation without antialiasing, and without rounding.

    As in `torch.nn.functional.interpolate(mode="bilinear")` on float32, up to rounding.
    """
    rows, columns = (_neighbors(side, wanted) for side, wanted in zip(image.shape[:2], size, strict=True))
    pixels = _between(image, *rows, axis=0)
    return _between(pixels, *columns, axis=1)


def _neighbors(side: int, wanted: int) -> tuple[IntArray, IntArray, Float32Array]:
    """Return the two source pixels of each of `wanted` pixels, and the weight of the second."""
    half, step = (
        np.float32(0.5),
        np.float32(side) / np.float32(wanted),
    )  # float32 as in torch: weights differ in float64
    place = np.maximum((np.arange(wanted, dtype=np.float32) + half) * step - half, np.float32(0))
    low = np.minimum(place.astype(np.int64), side - 1)
    return low, np.minimum(low + 1, side - 1), place - low.astype(np.float32)


def _between(pixels: np.ndarray, low: IntArray, high: IntArray, weight: Float32Array, axis: int) -> Float32Array:
    first = pixels.take(low, axis).astype(np.float32, copy=False)
    step = pixels.take(high, axis).astype(np.float32, copy=False)
    step -= first
    step *= weight.reshape(-1, 1, 1) if axis == 0 else weight.reshape(-1, 1)
    step += first
    return step


def _check_sides(size: int, max_size: int) -> None:
    if not 1 <= size <= max_size <= MAX_SIDE:
        raise InputError(f"need 1 <= size <= max_size <= {MAX_SIDE}, got {size} and {max_size}")


def _check_canvas(height: int, width: int) -> None:
    if not 1 <= min(height, width) <= max(height, width) <= MAX_SIDE:
        raise InputError(f"height and width must be from 1 to {MAX_SIDE} px, got {height} and {width}")
