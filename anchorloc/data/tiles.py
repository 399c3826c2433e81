"""Large images as many small ones, to train on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anchorloc.data.placement import MIN_VISIBLE, Placement
from anchorloc.data.resize import Size
from anchorloc.data.source import Source
from anchorloc.errors import InputError
from anchorloc.structures import Category, IntArray, Target
from anchorloc.text import counted


@dataclass(frozen=True)
class Tiles:
    """Windows that cover an image evenly; each is an image of its own in training."""

    height: int = 640  # pixels; an image that is smaller on a side is not cut there
    width: int = 640
    overlap: float = 0.25  # share of a tile that the next one repeats, at least: best as long as the objects
    min_visible: float = MIN_VISIBLE  # share of a box's area that must lie in a tile, else its label is dropped there
    background_fraction: float = 1.0  # share of the tiles without a box that are trained on

    def __post_init__(self) -> None:
        if min(self.height, self.width) < 16:
            raise InputError(f"height and width must be at least 16 pixels, got {self.height} and {self.width}")
        if not 0 <= self.overlap <= 0.9:
            raise InputError(f"overlap must be from 0 to 0.9, got {self.overlap}")
        for name in ("min_visible", "background_fraction"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} must be from 0 to 1, got {getattr(self, name)}")

    def __call__(self, source: Source) -> TiledSource:
        """Cut every image of `source`.

        Raises:
            InputError: no tile shows enough of any box.
        """
        owners: list[int] = []
        windows: list[tuple[int, int, int, int]] = []
        skipped, boxes = 0.0, 0
        for index in range(len(source)):
            target = source.training_target(index)
            for window in self.windows(source.size(index)):
                count = len(_cut(target, source.size(index), window, self.min_visible))
                boxes += count
                if not count:
                    skipped += 1 - self.background_fraction  # spread evenly, with no draw: the same tiles in every run
                    if skipped >= 1:
                        skipped -= 1
                        continue
                owners.append(index)
                windows.append(window)
        if not boxes:
            raise InputError(
                f"no tile of {self.width} x {self.height} px shows {self.min_visible:.0%} of any box of {len(source)} "
                "images; raise the tiles' size, or lower min_visible"
            )
        return TiledSource(self, source, np.array(owners, np.int64), np.array(windows, np.int64).reshape(-1, 4))

    def windows(self, size: Size) -> Iterator[tuple[int, int, int, int]]:
        """Yield (top, left, height, width) of the tiles of an image, row by row."""
        height, width = min(self.height, size[0]), min(self.width, size[1])
        for top in self._starts(size[0], height):
            for left in self._starts(size[1], width):
                yield top, left, height, width

    def _starts(self, length: int, tile: int) -> list[int]:
        steps = math.ceil((length - tile) / max(1, math.floor(tile * (1 - self.overlap))))
        return [round(step * (length - tile) / max(1, steps)) for step in range(steps + 1)]


@dataclass(frozen=True, eq=False)
class TiledSource:
    """The tiles of a split: a `Source`. Image ids are those of the whole images, with the tile's corner."""

    tiles: Tiles
    whole: Source
    owners: IntArray  # (T,) the image that each tile is cut from
    windows: IntArray  # (T, 4) top, left, height, width

    @property
    def categories(self) -> tuple[Category, ...]:
        """Those of the whole images."""
        return self.whole.categories

    @property
    def fingerprint(self) -> str:
        """That of the whole images: the settings say the rest."""
        return self.whole.fingerprint

    @property
    def warnings(self) -> tuple[str, ...]:
        """Those of the whole images, and how many boxes no tile shows enough of."""
        shown = [self.training_target(index).rows for index in range(len(self))]
        seen = len(np.unique(np.concatenate([np.zeros(0, np.int64), *shown])))
        lost = sum(len(self.whole.training_target(index)) for index in range(len(self.whole))) - seen
        if not lost:
            return self.whole.warnings
        boxes = counted(lost, "box has", "boxes have")
        share = f"{self.tiles.min_visible:.0%} of the area"
        return *self.whole.warnings, f"{boxes} in no tile {share}: not trained on; raise the tiles' size or overlap"

    def __len__(self) -> int:
        return len(self.owners)

    def image(self, index: int) -> NDArray[np.uint8]:
        """(H, W, 3) RGB of the tile; the whole image is decoded for it."""
        top, left, height, width = self.windows[index]
        return np.ascontiguousarray(self.whole.image(int(self.owners[index]))[top : top + height, left : left + width])

    def target(self, index: int) -> Target:
        """The same as `training_target`: tiles are for training."""
        return self.training_target(index)

    def training_target(self, index: int) -> Target:
        """The boxes of which the tile shows enough, clipped to it."""
        owner = int(self.owners[index])
        top, left, height, width = self.windows[index].tolist()
        target, size = self.whole.training_target(owner), self.whole.size(owner)
        return _cut(target, size, (top, left, height, width), self.tiles.min_visible)

    def image_id(self, index: int) -> str:
        """The id of the whole image and the corner of the tile, such as "17@640,0" (x, y)."""
        top, left, _, _ = self.windows[index].tolist()
        return f"{self.whole.image_id(int(self.owners[index]))}@{left},{top}"

    def size(self, index: int) -> Size:
        """(height, width) of the tile in pixels."""
        _, _, height, width = self.windows[index].tolist()
        return height, width

    def name(self, index: int) -> str:
        """The file name of the whole image."""
        return self.whole.name(int(self.owners[index]))

    def annotation_id(self, row: int) -> int | str:
        """The id of an annotation."""
        return self.whole.annotation_id(row)

    def check_images(self) -> tuple[str, ...]:
        """Look at the files of the whole images."""
        return self.whole.check_images()


def _cut(target: Target, size: Size, window: tuple[int, int, int, int], min_visible: float) -> Target:
    top, left, height, width = window
    part = (height, width)
    return Placement(size, size, (top, left), part, part, (0, 0), part).map_target(target, min_visible)
