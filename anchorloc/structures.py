"""The types that packages hand to each other, and the aliases of their arrays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BACKGROUND",
    "IGNORE",
    "AnchorGrid",
    "AnchorLevel",
    "Assignment",
    "Category",
    "Detections",
    "Sample",
    "Target",
]

Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]
FloatArray = Float32Array | Float64Array
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Pixels = NDArray[np.uint8]  # (H, W, 3) RGB
Size = tuple[int, int]  # (height, width) in pixels
Scale = tuple[float, float]  # (vertical, horizontal)
Extent = tuple[int, int, int, int]  # top, left, bottom, right in pixels
Color = tuple[float, float, float]  # RGB

IMAGENET_MEAN: Final[Color] = (123.675, 116.28, 103.53)  # from 0 to 255

BACKGROUND: Final = -1  # in `Assignment.matched`: the anchor learns that nothing is there
IGNORE: Final = -2  # in `Assignment.matched`: the anchor has no loss


@dataclass(frozen=True)
class Category:
    """A class of objects. Its label in the model is its index in the data set's tuple of categories."""

    id: int | str  # as in the annotation file
    name: str
    shares_name: bool = field(default=False, compare=False)  # whether another class of the data has this name

    def __post_init__(self) -> None:
        given: object = self.id
        if isinstance(given, np.integer):
            object.__setattr__(self, "id", int(given))  # a checkpoint holds Python's numbers

    @property
    def shown_name(self) -> str:
        """The name, with the id where another class has the same name."""
        return f"{self.name} (id {self.id})" if self.shares_name else self.name


def categories_of(pairs: Iterable[tuple[int | str, str]]) -> tuple[Category, ...]:
    """Return the classes of a data set, given as (id, name); they know which of them share a name."""
    listed = [(id, str(name)) for id, name in pairs]
    counts = Counter(name for _, name in listed)
    return tuple(Category(id, name, counts[name] > 1) for id, name in listed)


@dataclass(frozen=True, eq=False)
class Target:
    """The M annotated boxes of one image."""

    boxes: FloatArray  # (M, 4)
    labels: IntArray  # (M,) 0..C-1
    crowd: BoolArray  # (M,) True where a box surrounds a group of objects (COCO's iscrowd)
    area: FloatArray  # (M,) annotated area in square pixels of the original image; decides COCO's size range
    rows: IntArray  # (M,) row of the annotation in its data set, for messages

    def __len__(self) -> int:
        return len(self.boxes)

    def take(self, index: NDArray[np.intp] | BoolArray) -> Target:
        """Return the rows that `index` (integers or a mask) selects."""
        return Target(self.boxes[index], self.labels[index], self.crowd[index], self.area[index], self.rows[index])


@dataclass(frozen=True, eq=False)
class Sample:
    """One image as the network sees it, with its boxes in the same pixels."""

    image: Pixels | Float32Array  # (H, W, 3) RGB from 0 to 255
    target: Target
    image_id: int | str
    scale: Scale  # network pixels per original pixel
    size: Size  # size of the original image
    extent: Extent  # the part of the network image that shows the original; the rest is padding


@dataclass(frozen=True, eq=False)
class AnchorLevel:
    """The anchors of one feature map.

    The x of an anchor's edges depends on its column alone, and the y on its row alone. So four small tables hold them:
    anchor (row, column, k) is (x1[k, column], y1[k, row], x2[k, column], y2[k, row]).
    """

    stride: tuple[float, float]  # (vertical, horizontal) pixels between cell centers
    first_center: tuple[float, float]  # (y, x) of the center of cell (0, 0), in pixels
    x1: Float32Array  # (K, W)
    y1: Float32Array  # (K, H)
    x2: Float32Array  # (K, W)
    y2: Float32Array  # (K, H)

    @property
    def grid_size(self) -> tuple[int, int]:
        """(rows, columns) of the feature map."""
        return self.y1.shape[1], self.x1.shape[1]

    @property
    def shapes(self) -> int:
        """K, the number of anchors per cell."""
        return int(self.x1.shape[0])

    @property
    def sizes(self) -> tuple[tuple[float, float], ...]:
        """(width, height) in pixels of the K anchors of the first cell."""
        widths, heights = self.x2[:, 0] - self.x1[:, 0], self.y2[:, 0] - self.y1[:, 0]
        return tuple(zip(widths.tolist(), heights.tolist(), strict=True))

    @property
    def centers(self) -> tuple[Float64Array, Float64Array]:
        """The y of each row (H,) and the x of each column (W,) of cell centers."""
        rows, columns = self.grid_size
        (top, left), (down, right) = self.first_center, self.stride
        return top + down * np.arange(rows, dtype=np.float64), left + right * np.arange(columns, dtype=np.float64)

    def cells_in(self, extent: Extent | None) -> Extent:
        """Return the cells whose centers lie in `extent`: first row and column, and one past the last of each.

        A center on the top or left edge of `extent` is inside, one on the bottom or right edge is not.
        """
        if extent is None:
            return (0, 0, *self.grid_size)
        rows, columns = self.centers
        (top, bottom), (left, right) = np.searchsorted(rows, extent[::2]), np.searchsorted(columns, extent[1::2])
        return int(top), int(left), int(bottom), int(right)

    def __len__(self) -> int:
        return int(self.x1.shape[1] * self.y1.shape[1] * self.x1.shape[0])


@dataclass(frozen=True, eq=False)
class AnchorGrid:
    """All anchors of an image, in the order (level, row, column, shape).

    In a padded image, the anchors whose cell center is outside the image take no part: no assigner gives them a box,
    and the decoder drops what they predict. They keep their places in the order.
    """

    image_size: Size  # with padding
    levels: tuple[AnchorLevel, ...]
    extent: Extent | None = None  # the part that shows the image; None: all of it
    whole: AnchorGrid | None = None  # the same grid without an extent, whose tables are shared

    def within(self, extent: Extent) -> AnchorGrid:
        """Return the grid of an image that covers only `extent` of the padded one."""
        whole = self.whole or self
        part = AnchorGrid(self.image_size, self.levels, extent, whole)
        return whole if part.cells == whole.cells else part

    def __len__(self) -> int:
        return self._count

    @cached_property
    def _count(self) -> int:
        return sum(len(level) for level in self.levels)

    @cached_property
    def cells(self) -> tuple[Extent, ...]:
        """The cells of each level that take part: first row and column, and one past the last."""
        return tuple(level.cells_in(self.extent) for level in self.levels)

    @cached_property
    def taking_part(self) -> BoolArray:
        """(A,) whether the anchor's cell center is inside the image, computed on first use."""
        parts = []
        for level, (top, left, bottom, right) in zip(self.levels, self.cells, strict=True):
            inside = np.zeros((*level.grid_size, level.shapes), np.bool_)
            inside[top:bottom, left:right] = True
            parts.append(inside.ravel())
        return np.concatenate(parts)

    @property
    def centers(self) -> Float64Array:
        """(A, 2) y and x of the center of every anchor's cell."""
        parts = []
        for level in self.levels:
            rows, columns = level.centers
            cells = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)
            parts.append(cells.repeat(level.shapes, axis=0))
        return np.concatenate(parts)

    @cached_property
    def boxes(self) -> Float32Array:
        """(A, 4) xyxy of every anchor, computed on first use."""
        if self.whole is not None:
            return self.whole.boxes
        boxes = np.empty((len(self), 4), np.float32)
        start = 0
        for level in self.levels:
            rows, columns = level.grid_size
            block = boxes[start : start + len(level)].reshape(rows, columns, level.shapes, 4)
            block[..., 0], block[..., 2] = level.x1.T[None], level.x2.T[None]
            block[..., 1], block[..., 3] = level.y1.T[:, None], level.y2.T[:, None]
            start += len(level)
        return boxes


@dataclass(frozen=True, eq=False)
class Assignment:
    """Which box each of the A anchors of one image learns. It is sparse: all other anchors are background."""

    anchors: IntArray  # (P,) positive anchors, ascending
    rows: IntArray  # (P,) the box row that each positive anchor learns
    ignored: IntArray  # (I,) anchors without a loss, ascending
    count: int  # A
    unassigned: IntArray  # (U,) rows of the boxes without a positive anchor, ascending; never crowd boxes

    @property
    def matched(self) -> NDArray[np.int32]:
        """(A,) a box row, BACKGROUND or IGNORE for each anchor."""
        matched = np.full(4 * self.count, BACKGROUND, np.int8).view(np.int32)  # faster by bytes: all bytes of -1 are -1
        matched[self.ignored] = IGNORE
        matched[self.anchors] = self.rows
        return matched


@dataclass(frozen=True, eq=False)
class Detections:
    """The N detections of one image, in its original pixels, by descending score."""

    boxes: FloatArray  # (N, 4)
    scores: FloatArray  # (N,) in [0, 1]
    labels: IntArray  # (N,) 0..C-1
    anchors: IntArray  # (N,) the anchor that predicted each box, -1 if unknown
    image_id: int | str

    def __len__(self) -> int:
        return len(self.boxes)

    def take(self, rows: IntArray) -> Detections:
        """Return the given rows, in that order."""
        return Detections(self.boxes[rows], self.scores[rows], self.labels[rows], self.anchors[rows], self.image_id)
