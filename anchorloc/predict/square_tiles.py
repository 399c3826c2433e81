"""Square tiles of a side and an overlap in pixels, as `predict --tile` takes them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anchorloc.data.tiles import MIN_SIDE, Tile, tile_grid
from anchorloc.errors import InputError
from anchorloc.structures import Size


@dataclass(frozen=True)
class SquareTiles:
    """Cut images into overlapping squares for prediction; a side shorter than `size` is not cut.

    An object that is not larger than the overlap lies whole in some tile.
    """

    size: int = 640  # height and width in pixels
    overlap: int = 128  # minimum overlap of neighbors in pixels

    def __post_init__(self) -> None:
        if not all(isinstance(side, int | np.integer) for side in (self.size, self.overlap)):
            raise InputError(f"tiles need whole numbers, got a size of {self.size} and an overlap of {self.overlap}")
        if not 0 <= self.overlap < self.size:
            raise InputError(
                f"tiles need 0 <= overlap < size, got an overlap of {self.overlap} and a size of {self.size}"
            )
        if self.size < MIN_SIDE:
            raise InputError(f"tiles need a side of at least {MIN_SIDE} px, got {self.size}")

    def grid(self, image: Size) -> list[Tile]:
        """Return the tiles that cover an image of the size `image`, row by row."""
        return tile_grid(image, (self.size, self.size), (self.overlap, self.overlap))
