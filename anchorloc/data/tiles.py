"""Cut large images into tiles to train on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from anchorloc.data.placement import MIN_VISIBLE, Placement
from anchorloc.data.source import Source
from anchorloc.errors import InputError
from anchorloc.structures import Category, IntArray, Pixels, Size, Target
from anchorloc.text import counted

Window = tuple[int, int, int, int]  # top, left, height, width in pixels


@dataclass(frozen=True)
class Tiles:
    """Train on tiles that cover each image evenly; each tile becomes an image of its own."""

    height: int = 640  # height of a tile in pixels; a lower image is not cut in this direction
    width: int = 640  # width of a tile in pixels; a narrower image is not cut in this direction
    overlap: float = 0.25  # minimum overlap of neighbors, as a fraction of a tile; make it as long as the objects
    min_visible: float = MIN_VISIBLE  # minimum fraction of a box's area inside a tile; below it the label is dropped
    background_fraction: float = 1.0  # fraction of empty tiles to keep

    def __post_init__(self) -> None:
        if min(self.height, self.width) < 16:
            raise InputError(f"height and width must be at least 16 px, got {self.height} and {self.width}")
        if not 0 <= self.overlap <= 0.9:
            raise InputError(f"overlap must be from 0 to 0.9, got {self.overlap}")
        for name in ("min_visible", "background_fraction"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} must be from 0 to 1, got {getattr(self, name)}")

    def __call__(self, source: Source) -> TiledSource:
        """Cut all images of `source` into tiles.

        Raises:
            InputError: no tile shows enough of any box.
        """
        images: list[int] = []
        windows: list[Window] = []
        skipped, boxes = 0.0, 0
        for index in range(len(source)):
            target = source.training_target(index)
            for window in self.windows(source.size(index)):
                count = len(_crop(target, source.size(index), window, self.min_visible))
                boxes += count
                if not count:
                    skipped += 1 - self.background_fraction  # spread evenly: the same tiles in every run
                    if skipped >= 1:
                        skipped -= 1
                        continue
                images.append(index)
                windows.append(window)
        if not boxes:
            raise InputError(
                f"no tile of {self.width} x {self.height} px shows {self.min_visible:.0%} of any box of {len(source)} "
                "images; raise the height and width of the tiles, or lower min_visible"
            )
        return TiledSource(self, source, np.array(images, np.int64), np.array(windows, np.int64).reshape(-1, 4))

    def windows(self, size: Size) -> Iterator[Window]:
        """Yield the tiles of an image of `size`, row by row."""
        tile = self.height, self.width
        vertical, horizontal = (max(1, math.floor(side * (1 - self.overlap))) for side in tile)
        return tile_windows(size, tile, (vertical, horizontal))


def tile_windows(size: Size, tile: Size, stride: Size, rounding: Callable[[float], int] = round) -> Iterator[Window]:
    """Yield windows of the size `tile` that cover an image of `size`, row by row.

    They are spread evenly and start at most `stride` apart. A side of the image that is shorter than the tile is
    covered by one window of its length.
    """
    height, width = (min(one, side) for one, side in zip(tile, size, strict=True))
    for top in _starts(size[0], height, stride[0], rounding):
        for left in _starts(size[1], width, stride[1], rounding):
            yield top, left, height, width


def _starts(length: int, tile: int, stride: int, rounding: Callable[[float], int]) -> list[int]:
    steps = math.ceil((length - tile) / stride)
    return [rounding(step * (length - tile) / max(1, steps)) for step in range(steps + 1)]


@dataclass(frozen=True, eq=False)
class TiledSource:
    """The tiles of a split: a `Source`. An image id is the id of the whole image with the corner of the tile."""

    tiles: Tiles
    whole: Source
    images: IntArray  # (T,) the whole image of each tile
    windows: IntArray  # (T, 4) top, left, height, width

    @property
    def categories(self) -> tuple[Category, ...]:
        return self.whole.categories

    @property
    def fingerprint(self) -> str:
        return self.whole.fingerprint

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings of the whole images, and the number of boxes that no tile shows enough of."""
        rows = [self.training_target(index).rows for index in range(len(self))]
        visible = len(np.unique(np.concatenate([np.zeros(0, np.int64), *rows])))
        lost = sum(len(self.whole.training_target(index)) for index in range(len(self.whole))) - visible
        if not lost:
            return self.whole.warnings
        boxes = counted(lost, "box is", "boxes are")
        sentence = (
            f"{boxes} not trained on, because no tile shows {self.tiles.min_visible:.0%} of the area; "
            "raise the size or the overlap of the tiles"
        )
        return *self.whole.warnings, sentence

    def __len__(self) -> int:
        return len(self.images)

    def image(self, index: int) -> Pixels:
        """Decode the whole image and return the pixels of the tile."""
        top, left, height, width = self.windows[index]
        return np.ascontiguousarray(self.whole.image(int(self.images[index]))[top : top + height, left : left + width])

    def target(self, index: int) -> Target:
        """The same as `training_target`: tiles are for training."""
        return self.training_target(index)

    def training_target(self, index: int) -> Target:
        """The boxes that the tile shows enough of, clipped to the tile."""
        image = int(self.images[index])
        top, left, height, width = self.windows[index].tolist()
        target, size = self.whole.training_target(image), self.whole.size(image)
        return _crop(target, size, (top, left, height, width), self.tiles.min_visible)

    def image_id(self, index: int) -> str:
        """The id of the whole image and the (x, y) corner of the tile, such as "17@640,0"."""
        top, left, _, _ = self.windows[index].tolist()
        return f"{self.whole.image_id(int(self.images[index]))}@{left},{top}"

    def size(self, index: int) -> Size:
        _, _, height, width = self.windows[index].tolist()
        return height, width

    def name(self, index: int) -> str:
        """The file name of the whole image."""
        return self.whole.name(int(self.images[index]))

    def annotation_id(self, row: int) -> int | str:
        return self.whole.annotation_id(row)

    def check_images(self) -> tuple[str, ...]:
        """Check the files of the whole images."""
        return self.whole.check_images()


def _crop(target: Target, size: Size, window: Window, min_visible: float) -> Target:
    top, left, height, width = window
    tile = (height, width)
    return Placement(size, size, (top, left), tile, tile, (0, 0), tile).map_target(target, min_visible)
