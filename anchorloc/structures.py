"""What crosses from one room to another, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32] | NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

BACKGROUND: Final = -1  # a dense label: the anchor learns that nothing is there
IGNORE: Final = -2  # a dense label: the anchor learns nothing


@dataclass(frozen=True)
class Category:
    """A class of objects. Its label inside the model is its place in the data set's tuple of categories."""

    id: int | str  # as in the annotation file
    name: str


@dataclass(frozen=True, eq=False)
class Target:
    """The M annotated boxes of one image."""

    boxes: FloatArray  # (M, 4)
    labels: IntArray  # (M,) 0..C-1
    crowd: BoolArray  # (M,) True where a box stands for a group
    area: FloatArray  # (M,) square pixels of the original image, as annotated: COCO's size ranges go by it
    rows: IntArray  # (M,) row of the annotation in its data set, to name it in a message

    def __len__(self) -> int:
        return len(self.boxes)

    def take(self, index: NDArray[np.intp] | BoolArray) -> Target:
        """Return the rows that `index` (integers or a mask) selects."""
        return Target(self.boxes[index], self.labels[index], self.crowd[index], self.area[index], self.rows[index])


@dataclass(frozen=True, eq=False)
class Sample:
    """One image as the network sees it, with its boxes in the same pixels."""

    image: NDArray[np.uint8] | NDArray[np.float32]  # (H, W, 3) RGB from 0 to 255
    target: Target
    image_id: int | str
    scale: tuple[float, float]  # (vertical, horizontal): network pixels for one original pixel
    size: tuple[int, int]  # (height, width) of the original image


@dataclass(frozen=True, eq=False)
class AnchorLevel:
    """The anchors of one feature map. The edges of an anchor depend on its row or its column alone, so they are
    stored as four small tables; anchor (row, column, k) is
    (x1[k, column], y1[k, row], x2[k, column], y2[k, row])."""

    stride: tuple[float, float]  # (vertical, horizontal) pixels between cell centers
    first_center: tuple[float, float]  # (vertical, horizontal) pixels: the center of cell (0, 0)
    x1: NDArray[np.float32]  # (K, W)
    y1: NDArray[np.float32]  # (K, H)
    x2: NDArray[np.float32]  # (K, W)
    y2: NDArray[np.float32]  # (K, H)

    @property
    def grid_size(self) -> tuple[int, int]:
        """(rows, columns) of the feature map."""
        return self.y1.shape[1], self.x1.shape[1]

    @property
    def shapes(self) -> int:
        """K, the anchors of a cell."""
        return int(self.x1.shape[0])

    @property
    def sizes(self) -> tuple[tuple[float, float], ...]:
        """(width, height) in pixels of the K anchors of the first cell."""
        widths, heights = self.x2[:, 0] - self.x1[:, 0], self.y2[:, 0] - self.y1[:, 0]
        return tuple(zip(widths.tolist(), heights.tolist(), strict=True))

    @property
    def centers(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The y of every row (H,) and the x of every column (W,) of cell centers."""
        rows, columns = self.grid_size
        (top, left), (down, right) = self.first_center, self.stride
        return top + down * np.arange(rows, dtype=np.float64), left + right * np.arange(columns, dtype=np.float64)

    def __len__(self) -> int:
        return int(self.x1.shape[1] * self.y1.shape[1] * self.x1.shape[0])


@dataclass(frozen=True, eq=False)
class AnchorGrid:
    """All anchors of an image, in the order (level, row, column, shape)."""

    image_size: tuple[int, int]  # (height, width)
    levels: tuple[AnchorLevel, ...]

    def __len__(self) -> int:
        return self._count

    @cached_property
    def _count(self) -> int:
        return sum(len(level) for level in self.levels)

    @cached_property
    def boxes(self) -> NDArray[np.float32]:
        """(A, 4) every anchor, made on first use."""
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
    """Which box each of the A anchors of one image learns, sparse: the anchors not named are background."""

    anchors: IntArray  # (P,) positive anchors, ascending
    rows: IntArray  # (P,) the row of the box that each learns
    ignored: IntArray  # anchors that learn nothing, ascending
    count: int  # A
    unassigned: IntArray  # rows of the boxes (crowd aside) that no anchor learns, ascending

    @property
    def matched(self) -> NDArray[np.int32]:
        """(A,) a box row, BACKGROUND or IGNORE for every anchor."""
        matched = np.full(4 * self.count, BACKGROUND, np.int8).view(np.int32)  # bytes fill faster; all are those of -1
        matched[self.ignored] = IGNORE
        matched[self.anchors] = self.rows
        return matched


@dataclass(frozen=True, eq=False)
class Detections:
    """The N boxes found in one image, in its original pixels, by descending score."""

    boxes: FloatArray  # (N, 4)
    scores: FloatArray  # (N,) in [0, 1]
    labels: IntArray  # (N,) 0..C-1
    anchors: IntArray  # (N,) the anchor that made each box, -1 where unknown
    image_id: int | str

    def __len__(self) -> int:
        return len(self.boxes)

    def take(self, rows: IntArray) -> Detections:
        """Return the rows given, in their order."""
        return Detections(self.boxes[rows], self.scores[rows], self.labels[rows], self.anchors[rows], self.image_id)
