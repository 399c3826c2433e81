"""Resize policies: how large an image is for the network. Each maps a size to (canvas size, scale)."""

from __future__ import annotations

from dataclasses import dataclass

from anchorloc.errors import InputError

Size = tuple[int, int]  # (height, width)


@dataclass(frozen=True)
class ShortestSide:
    """Scale so that the shorter side has `size` pixels, unless the longer one would pass `max_size`."""

    size: int = 800
    max_size: int = 1333

    def __post_init__(self) -> None:
        if not 1 <= self.size <= self.max_size:
            raise InputError(f"need 1 <= size <= max_size, got {self.size} and {self.max_size}")

    def __call__(self, size: Size) -> tuple[Size, float]:
        """Return the scaled size and the scale."""
        scale = min(self.size / min(size), self.max_size / max(size))
        return scaled(size, (scale, scale)), scale


@dataclass(frozen=True)
class Letterbox:
    """Scale to fit inside (height, width), and fill up at the right and the bottom."""

    height: int = 320
    width: int = 320

    def __post_init__(self) -> None:
        if min(self.height, self.width) < 1:
            raise InputError(f"height and width must be at least 1 pixel, got {self.height} and {self.width}")

    def __call__(self, size: Size) -> tuple[Size, float]:
        """Return (height, width) and the scale that fits an image into it."""
        return (self.height, self.width), min(self.height / size[0], self.width / size[1])


@dataclass(frozen=True)
class Keep:
    """Leave images as large as they are."""

    def __call__(self, size: Size) -> tuple[Size, float]:
        """Return the size and 1."""
        return size, 1.0


def scaled(size: Size, scale: tuple[float, float]) -> Size:
    """Scale (height, width) by (vertical, horizontal) to whole pixels, at least 1."""
    return max(1, round(size[0] * scale[0])), max(1, round(size[1] * scale[1]))
