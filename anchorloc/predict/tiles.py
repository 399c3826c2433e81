"""Large images as tiles that overlap."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from anchorloc.errors import InputError
from anchorloc.structures import Detections

Size = tuple[int, int]  # (height, width)
SLACK = 1 / 8  # of the overlap: a box that ends so near to an inner edge of its tile counts as cut by it


@dataclass(frozen=True)
class Tiles:
    """How images are cut: every tile but those of smaller images is a square, and neighbors share a strip.

    The strip should be as wide as the objects that tiles are for: what is no larger lies in some tile whole.
    """

    size: int = 640  # pixels of a side
    overlap: int = 128  # pixels that neighbors share, at least

    def __post_init__(self) -> None:
        if not 0 <= self.overlap < self.size:
            raise InputError(
                f"tiles need 0 <= overlap < size, got an overlap of {self.overlap} and a size of {self.size}"
            )


@dataclass(frozen=True)
class Tile:
    """A part of an image, in its pixels."""

    top: int
    left: int
    size: Size
    image: Size
    overlap: int = 0

    def cut(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the pixels (height, width, 3) of the tile."""
        return image[self.top : self.top + self.size[0], self.left : self.left + self.size[1]]

    def to_image(self, found: Detections) -> Detections:
        """Return detections of the tile in pixels of the image, without those that a neighbor sees more of."""
        whole = found.take(np.flatnonzero(~self._cut(found)))
        return replace(whole, boxes=whole.boxes + np.array([self.left, self.top, self.left, self.top], np.float64))

    def _cut(self, found: Detections) -> NDArray[np.bool_]:
        """(N,) which boxes end at an inner edge of the tile and lie in the strip along it.

        The neighbor has that strip whole, and what is beyond the edge as well.
        """
        slack = self.overlap * SLACK
        cut = np.zeros(len(found), np.bool_)
        for low, high, start, side, length in (
            (found.boxes[:, 0], found.boxes[:, 2], self.left, self.size[1], self.image[1]),
            (found.boxes[:, 1], found.boxes[:, 3], self.top, self.size[0], self.image[0]),
        ):
            if start > 0:
                cut |= (low <= slack) & (high <= self.overlap)
            if start + side < length:
                cut |= (high >= side - slack) & (low >= side - self.overlap)
        return cut


def tile_grid(image: Size, tiles: Tiles | None) -> list[Tile]:
    """Return the tiles that cover an image of (height, width), evenly spread; without `tiles` it is one."""
    if tiles is None:
        return [Tile(0, 0, image, image)]
    height, width = (min(side, tiles.size) for side in image)
    return [
        Tile(top, left, (height, width), image, tiles.overlap)
        for top in _starts(image[0], tiles)
        for left in _starts(image[1], tiles)
    ]


def _starts(length: int, tiles: Tiles) -> list[int]:
    """Where tiles begin along a side of so many pixels."""
    room = length - tiles.size
    if room <= 0:
        return [0]
    steps = -(-room // (tiles.size - tiles.overlap))
    return [step * room // steps for step in range(steps + 1)]
