"""Cut large images into overlapping tiles to predict on."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from anchorloc.data.tiles import tile_windows
from anchorloc.errors import InputError
from anchorloc.structures import BoolArray, Detections, Pixels, Size

SLACK = 1 / 8  # fraction of the overlap; a box that ends this near to an inner edge counts as cut by it


@dataclass(frozen=True)
class SquareTiles:
    """Cut images into overlapping squares for prediction; a side shorter than `size` is not cut.

    An object that is not larger than the overlap lies whole in some tile.
    """

    size: int = 640  # height and width in pixels
    overlap: int = 128  # minimum overlap of neighbors in pixels

    def __post_init__(self) -> None:
        if not 0 <= self.overlap < self.size:
            raise InputError(
                f"tiles need 0 <= overlap < size, got an overlap of {self.overlap} and a size of {self.size}"
            )


@dataclass(frozen=True)
class Tile:
    """A window of an image, in pixels of the image."""

    top: int
    left: int
    size: Size
    image: Size
    overlap: int = 0

    def cut(self, image: Pixels) -> Pixels:
        """Return the pixels of the tile."""
        return image[self.top : self.top + self.size[0], self.left : self.left + self.size[1]]

    def to_image(self, found: Detections) -> Detections:
        """Map detections to pixels of the image, and drop those that a neighboring tile shows more of."""
        whole = found.take(np.flatnonzero(~self._cut(found)))
        return replace(whole, boxes=whole.boxes + np.array([self.left, self.top, self.left, self.top], np.float64))

    def _cut(self, found: Detections) -> BoolArray:
        """Return an (N,) mask of the boxes that end at an inner edge of the tile and lie in the overlap along it.

        The neighbor shows this overlap and the pixels beyond the edge.
        """
        slack = self.overlap * SLACK
        cut = np.zeros(len(found), np.bool_)
        for low, high, start, side, length in (
            (found.boxes[:, 0], found.boxes[:, 2], self.left, self.size[1], self.image[1]),
            (found.boxes[:, 1], found.boxes[:, 3], self.top, self.size[0], self.image[0]),
        ):
            if start > 0:
                cut |= (low <= slack) & (high < self.overlap - slack)  # beyond it the neighbor calls the box cut
            if start + side < length:
                cut |= (high >= side - slack) & (low >= side - self.overlap)
        return cut


def tile_grid(image: Size, tiles: SquareTiles | None) -> list[Tile]:
    """Return the tiles that cover an image of the size `image`; without `tiles` the image is one tile."""
    if tiles is None:
        return [Tile(0, 0, image, image)]
    side, stride = tiles.size, tiles.size - tiles.overlap
    windows = tile_windows(image, (side, side), (stride, stride), rounding=math.floor)
    return [Tile(top, left, (height, width), image, tiles.overlap) for top, left, height, width in windows]
