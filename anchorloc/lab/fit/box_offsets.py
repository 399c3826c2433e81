"""Collect the boxes of a split: their sizes, and their offsets to the nearest anchor center of every level."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anchorloc.lab.fit.kernels import fill_iou
from anchorloc.lab.network_views import NetworkViews
from anchorloc.structures import AnchorGrid, BoolArray, Float32Array, Float64Array, IntArray

CHUNK = 64  # shapes per IoU table, so that the table stays small


@dataclass(frozen=True, eq=False)
class BoxOffsets:
    """N boxes; a box counts once for each time that its image is seen.

    The anchors of one shape on one level are copies of each other. So the copy with the greatest IoU with a box is the
    one with the nearest center, and the offset to that center is all that is needed from the grid.
    """

    sizes: Float32Array  # (N, 2) width, height in network pixels
    offset: Float32Array  # (L, N, 2) |x|, |y| from the center of a box to the nearest anchor center of a level
    images: IntArray  # (N,) index in the split
    labels: IntArray  # (N,)
    cells: Float64Array  # (L,) cells of each level, mean over images

    def __len__(self) -> int:
        return len(self.sizes)

    def take(self, index: IntArray | BoolArray) -> BoxOffsets:
        """Return the boxes that `index` selects."""
        return BoxOffsets(self.sizes[index], self.offset[:, index], self.images[index], self.labels[index], self.cells)

    def best_iou(self, levels: IntArray, shapes: Float64Array) -> Float32Array:
        """Return the greatest IoU (N,) of each box with anchors of `shapes` (S, 2) on `levels` (S,)."""
        best = np.zeros(len(self), np.float32)
        for start in range(0, len(levels), CHUNK):
            part = slice(start, start + CHUNK)
            table = np.empty((len(levels[part]), len(self)), np.float32)
            fill_iou(levels[part], shapes[part], self.sizes, self.offset, table)
            np.maximum(best, table.max(axis=0), out=best)
        return best


def collect_offsets(views: NetworkViews) -> BoxOffsets:
    """Return the boxes of all images of `views`, without crowds."""
    levels, none = len(views.config.anchors.strides), np.zeros(0, np.int64)
    sizes, offsets, images, labels = [np.zeros((0, 2))], [np.zeros((levels, 0, 2))], [none], [none]
    cells = np.zeros(levels)
    for view in views:
        trained = ~view.target.crowd
        target = view.target.take(trained)
        boxes = target.boxes.astype(np.float64)
        axes = _level_axes(view.grid)
        cells += axes[:, :, 2].prod(axis=1)
        sizes.append(boxes[:, 2:] - boxes[:, :2])
        images.append(view.images[trained])
        labels.append(target.labels)
        offsets.append(_nearest_offsets((boxes[:, :2] + boxes[:, 2:]) / 2, axes))
    return BoxOffsets(
        np.concatenate(sizes).astype(np.float32),
        np.concatenate(offsets, axis=1).astype(np.float32),
        np.concatenate(images),
        np.concatenate(labels),
        cells / max(1, len(views)),
    )


def _level_axes(grid: AnchorGrid) -> Float64Array:
    """Return (L, 2, 3): per level, along x and y, the first center, the stride and the number of usable cells."""
    axes = np.empty((len(grid.levels), 2, 3))
    for place, (level, cells) in enumerate(zip(grid.levels, grid.cells, strict=True)):
        for axis in (0, 1):
            start, end, stride = cells[axis], cells[axis + 2], level.stride[axis]
            axes[place, 1 - axis] = level.first_center[axis] + start * stride, stride, end - start
    return axes


def _nearest_offsets(centers: Float64Array, axes: Float64Array) -> Float64Array:
    """Return (L, M, 2): the distance along x and y of `centers` (M, 2) to the nearest anchor center of each level.

    It is infinite where no cell of the level is in the image.
    """
    first, stride, count = (axes[:, None, :, part] for part in range(3))  # (L, 1, 2)
    index = np.clip(np.rint((centers - first) / stride), 0, np.maximum(count, 1) - 1)
    return np.where(count > 0, np.abs(centers - first - index * stride), np.inf)
