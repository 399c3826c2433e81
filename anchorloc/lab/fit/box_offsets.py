"""The boxes of a split as anchors meet them: their sizes, and how far off the cells of every level are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anchorloc.lab.fit.kernels import fill_iou
from anchorloc.lab.network_views import Views
from anchorloc.structures import AnchorGrid, BoolArray, Float32Array, Float64Array, IntArray

NOTHING: IntArray = np.zeros(0, np.int64)
CHUNK = 64  # shapes at a time, so that the table of their IoU stays small


@dataclass(frozen=True, eq=False)
class Sites:
    """N boxes, an image counting once in each pass. The anchors of one shape on one level are copies of each other, so
    that of greatest IoU with a box is at the nearest cell, and nothing else of the grid matters."""

    sizes: Float32Array  # (N, 2) width, height in network pixels
    away: Float32Array  # (L, N, 2) from the box's center to the nearest cell center, across and down
    images: IntArray  # (N,) index in the split
    labels: IntArray  # (N,)
    cells: Float64Array  # (L,) of each level, in the mean image

    def __len__(self) -> int:
        return len(self.sizes)

    def take(self, index: IntArray | BoolArray) -> Sites:
        """Return the boxes that `index` selects."""
        return Sites(self.sizes[index], self.away[:, index], self.images[index], self.labels[index], self.cells)

    def best_iou(self, levels: IntArray, shapes: Float64Array) -> Float32Array:
        """(N,) the greatest IoU that any anchor has with each box, of shapes (S, 2) on `levels` (S,)."""
        best = np.zeros(len(self), np.float32)
        for start in range(0, len(levels), CHUNK):
            part = slice(start, start + CHUNK)
            table = np.empty((len(levels[part]), len(self)), np.float32)
            fill_iou(levels[part], shapes[part], self.sizes, self.away, table)
            np.maximum(best, table.max(axis=0), out=best)
        return best


def sites_of(views: Views) -> Sites:
    """Collect the boxes of all images of `views`; crowds are not to be learned and left out."""
    levels = len(views.config.anchors.strides)
    sizes, away, images, labels = [np.zeros((0, 2))], [np.zeros((levels, 0, 2))], [NOTHING], [NOTHING]
    cells = np.zeros(levels)
    for view in views:
        learned = ~view.target.crowd
        target = view.target.take(learned)
        boxes = target.boxes.astype(np.float64)
        lattice = _lattice(view.grid)
        cells += lattice[:, :, 2].prod(axis=1)
        sizes.append(boxes[:, 2:] - boxes[:, :2])
        images.append(view.images[learned])
        labels.append(target.labels)
        away.append(_away((boxes[:, :2] + boxes[:, 2:]) / 2, lattice))
    return Sites(
        np.concatenate(sizes).astype(np.float32),
        np.concatenate(away, axis=1).astype(np.float32),
        np.concatenate(images),
        np.concatenate(labels),
        cells / max(1, len(views)),
    )


def _lattice(grid: AnchorGrid) -> Float64Array:
    """(L, 2, 3) per level, across and down: first center, stride, cells."""
    return np.array(
        [
            [(level.first_center[axis], level.stride[axis], level.grid_size[axis]) for axis in (1, 0)]
            for level in grid.levels
        ],
        np.float64,
    )


def _away(centers: Float64Array, lattice: Float64Array) -> Float64Array:
    """(L, M, 2) the distance of `centers` (M, 2), x and y, to the nearest cell of each level on each axis."""
    first, stride, count = (lattice[:, None, :, part] for part in range(3))  # (L, 1, 2)
    index = np.clip(np.rint((centers - first) / stride), 0, count - 1)
    return np.asarray(np.abs(centers - first - index * stride))
