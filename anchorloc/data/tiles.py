"""Cut large images into tiles to train and detect on."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from anchorloc.data.placement import MIN_VISIBLE, Placement
from anchorloc.data.source import Source
from anchorloc.errors import InputError
from anchorloc.structures import BoolArray, Category, Detections, IntArray, Pixels, Size, Target
from anchorloc.text import counted

MIN_SIDE = 16  # pixels: smaller tiles are taken for a mistake
SLACK = 1 / 8  # fraction of the overlap; a box that ends this near to an inner edge counts as cut by it


@dataclass(frozen=True)
class Tile:
    """A window of an image, in pixels of the image."""

    top: int
    left: int
    size: Size
    image: Size
    overlap: Size = (0, 0)  # with the neighbors below and above, and beside it

    def cut(self, image: Pixels) -> Pixels:
        """Return the pixels of the tile."""
        return image[self.top : self.top + self.size[0], self.left : self.left + self.size[1]]

    def to_image(self, found: Detections) -> Detections:
        """Map detections to pixels of the image, and drop those that a neighboring tile shows more of."""
        whole = found.take(np.flatnonzero(~self._is_cut(found)))
        return replace(whole, boxes=whole.boxes + np.array([self.left, self.top, self.left, self.top], np.float64))

    def _is_cut(self, found: Detections) -> BoolArray:
        """Return an (N,) mask of the boxes that end at an inner edge of the tile and lie in the overlap along it.

        The neighbor shows this overlap and the pixels beyond the edge.
        """
        cut = np.zeros(len(found), np.bool_)
        x1, y1, x2, y2 = found.boxes.T
        for axis, start, low, high in ((0, self.top, y1, y2), (1, self.left, x1, x2)):
            side, length, overlap = self.size[axis], self.image[axis], self.overlap[axis]
            slack = overlap * SLACK
            if start > 0:
                cut |= (low <= slack) & (high < overlap - slack)  # beyond it the neighbor calls the box cut
            if start + side < length:
                cut |= (high >= side - slack) & (low >= side - overlap)
        return cut


def tile_grid(image: Size, tile: Size, overlap: Size) -> list[Tile]:
    """Return the tiles of the size `tile` that cover an image evenly, row by row.

    Neighbors overlap by at least `overlap`. A side of the image that is shorter than the tile is covered by one tile of
    its length.
    """
    height, width = (min(one, side) for one, side in zip(tile, image, strict=True))
    return [
        Tile(top, left, (height, width), image, overlap)
        for top in _starts(image[0], height, tile[0] - overlap[0])
        for left in _starts(image[1], width, tile[1] - overlap[1])
    ]


def _starts(length: int, tile: int, stride: int) -> list[int]:
    steps = math.ceil((length - tile) / stride)
    return [math.floor(step * (length - tile) / max(1, steps)) for step in range(steps + 1)]


@dataclass(frozen=True)
class Tiles:
    """Train and detect on tiles that cover each image evenly; to the network each tile is an image of its own."""

    height: int = 640  # height of a tile in pixels; a lower image is not cut in this direction
    width: int = 640  # width of a tile in pixels; a narrower image is not cut in this direction
    overlap: float = 0.25  # minimum overlap of neighbors, as a fraction of a tile; make it as long as the objects
    min_visible: float = MIN_VISIBLE  # minimum fraction of a box's area inside a tile; below it the label is dropped
    background_fraction: float = 1.0  # fraction of empty tiles to keep

    def __post_init__(self) -> None:
        if min(self.height, self.width) < MIN_SIDE:
            raise InputError(f"height and width must be at least {MIN_SIDE} px, got {self.height} and {self.width}")
        if not 0 <= self.overlap <= 0.9:
            raise InputError(f"overlap must be from 0 to 0.9, got {self.overlap}")
        for name in ("min_visible", "background_fraction"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} must be from 0 to 1, got {getattr(self, name)}")

    def __call__(self, source: Source) -> TiledSource:
        """Cut all images of `source` into tiles to train on.

        Raises:
            InputError: no tile shows enough of any box.
        """
        images, tiles = list[int](), list[Tile]()
        skipped, boxes = 0.0, 0
        for index in range(len(source)):
            target = source.training_target(index)
            for tile in self.grid(source.size(index)):
                count = len(_crop(target, tile, self.min_visible))
                boxes += count
                if not count:
                    skipped += 1 - self.background_fraction  # spread evenly: the same tiles in every run
                    if skipped >= 1:
                        skipped -= 1
                        continue
                images.append(index)
                tiles.append(tile)
        if not boxes:
            raise InputError(
                f"no tile of {self.width} x {self.height} px shows {self.min_visible:.0%} of any box of {len(source)} "
                "images; raise the height and width of the tiles, or lower min_visible"
            )
        return TiledSource(self, source, np.array(images, np.int64), tuple(tiles))

    def cover(self, source: Source) -> TiledSource:
        """Cut all images of `source` into tiles to detect on: every tile counts."""
        grids = [self.grid(source.size(index)) for index in range(len(source))]
        images = np.repeat(np.arange(len(source)), [len(grid) for grid in grids])
        return TiledSource(self, source, images, tuple(tile for grid in grids for tile in grid))

    def grid(self, size: Size) -> list[Tile]:
        """Return the tiles of an image of `size`, row by row."""
        tile = self.height, self.width
        overlap = [side - max(1, math.floor(side * (1 - self.overlap))) for side in tile]
        return tile_grid(size, tile, (overlap[0], overlap[1]))


@dataclass(frozen=True, eq=False)
class TiledSource:
    """The tiles of a split: a `Source`. An image id is the id of the whole image with the corner of the tile."""

    tiles: Tiles
    whole: Source
    images: IntArray  # (T,) the whole image of each tile
    parts: tuple[Tile, ...]  # T
    last: dict[int, Pixels] = field(default_factory=dict, repr=False)  # the image decoded last: its tiles often follow

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
        """Decode the whole image, unless it was the last one, and return the pixels of the tile."""
        image = int(self.images[index])
        whole = self.last.get(image)
        if whole is None:
            whole = self.whole.image(image)
            self.last.clear()
            self.last[image] = whole
        return np.ascontiguousarray(self.parts[index].cut(whole))

    def target(self, index: int) -> Target:
        """The same as `training_target`; the whole images are scored."""
        return self.training_target(index)

    def training_target(self, index: int) -> Target:
        """The boxes that the tile shows enough of, clipped to the tile."""
        target = self.whole.training_target(int(self.images[index]))
        return _crop(target, self.parts[index], self.tiles.min_visible)

    def image_id(self, index: int) -> str:
        """The id of the whole image and the (x, y) corner of the tile, such as "17@640,0"."""
        tile = self.parts[index]
        return f"{self.whole.image_id(int(self.images[index]))}@{tile.left},{tile.top}"

    def size(self, index: int) -> Size:
        return self.parts[index].size

    def name(self, index: int) -> str:
        """The file name of the whole image."""
        return self.whole.name(int(self.images[index]))

    def annotation_id(self, row: int) -> int | str:
        return self.whole.annotation_id(row)

    def check_images(self) -> tuple[str, ...]:
        """Check the files of the whole images."""
        return self.whole.check_images()


def _crop(target: Target, tile: Tile, min_visible: float) -> Target:
    window = (tile.top, tile.left)
    return Placement(tile.image, tile.image, window, tile.size, tile.size, (0, 0), tile.size).map_target(
        target, min_visible
    )
