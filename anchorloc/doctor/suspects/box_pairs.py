"""Pairs of overlapping boxes of one image, without an IoU matrix."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from anchorloc.boxes import paired_box_iou
from anchorloc.structures import BoolArray, Float64Array, IntArray

_BLOCK = 1 << 20  # pairs compared at once, to bound memory


@dataclass(frozen=True, eq=False)
class PlacedBoxes:
    """The M boxes of all images, with an image and a class each."""

    images: IntArray  # (M,)
    labels: IntArray  # (M,)
    boxes: Float64Array  # (M, 4) xyxy

    def __len__(self) -> int:
        return len(self.images)

    @property
    def areas(self) -> Float64Array:  # (M,)
        return np.asarray((self.boxes[:, 2] - self.boxes[:, 0]) * (self.boxes[:, 3] - self.boxes[:, 1]))

    def take(self, rows: IntArray | BoolArray) -> PlacedBoxes:
        """Return the given rows, in that order."""
        return PlacedBoxes(self.images[rows], self.labels[rows], self.boxes[rows])


@dataclass(frozen=True, eq=False)
class BoxPairs:
    """P pairs of a box of one table and a box of another one."""

    first: IntArray  # (P,) rows
    second: IntArray  # (P,) rows
    iou: Float64Array  # (P,)

    def where(self, chosen: BoolArray) -> BoxPairs:
        """Return the pairs of a mask (P,)."""
        return BoxPairs(self.first[chosen], self.second[chosen], self.iou[chosen])


def overlapping_pairs(first: PlacedBoxes, second: PlacedBoxes, min_iou: float) -> BoxPairs:
    """Return every pair of boxes of the same image with an IoU of at least `min_iou`, which is above 0.

    IoU >= t requires that the common width is at least t times the greater width. The left edge of the second box is
    then at most (1 - t) / t widths of the first box to the left of its left edge, and (1 - t) widths to the right.
    """
    order = np.lexsort((second.boxes[:, 0], second.images))
    left, width = first.boxes[:, 0], first.boxes[:, 2] - first.boxes[:, 0]
    slack = 1e-9 * (np.abs(left) + width)
    reach_left, reach_right = width * (1 - min_iou) / min_iou + slack, width * (1 - min_iou) + slack
    sorted_images, sorted_left = second.images[order], second.boxes[order, 0]
    starts = _places(sorted_images, sorted_left, first.images, left - reach_left, after=False)
    ends = _places(sorted_images, sorted_left, first.images, left + reach_right, after=True)
    found = []
    for rows, places in _blocks(starts, ends):
        others = order[places]
        iou = paired_box_iou(first.boxes[rows], second.boxes[others])
        kept = iou >= min_iou
        found.append((rows[kept], others[kept], iou[kept]))
    if not found:
        return BoxPairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    return BoxPairs(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def pairs_within(table: PlacedBoxes, min_iou: float) -> BoxPairs:
    """Return every pair of different boxes of one table as `overlapping_pairs` does, once, the lower row first."""
    pairs = overlapping_pairs(table, table, min_iou)
    return pairs.where(pairs.first < pairs.second)


def _places(
    images: IntArray, keys: Float64Array, query_images: IntArray, query_keys: Float64Array, *, after: bool
) -> IntArray:
    """Return where each query would stand among entries sorted by image and key: before or `after` equal ones."""
    all_images, all_keys = np.concatenate([images, query_images]), np.concatenate([keys, query_keys])
    is_entry = np.arange(len(all_keys)) < len(keys)
    order = np.lexsort((~is_entry if after else is_entry, all_keys, all_images))
    before = np.empty(len(all_keys), np.int64)
    before[order] = np.cumsum(is_entry[order])
    return before[len(keys) :]


def _blocks(starts: IntArray, ends: IntArray) -> Iterator[tuple[IntArray, IntArray]]:
    """Yield the row and the places start..end-1 of each range, at most about _BLOCK at once."""
    totals = np.cumsum(ends - starts)
    row = 0
    while row < len(starts):
        done = totals[row - 1] if row else 0
        last = max(row + 1, int(np.searchsorted(totals, done + _BLOCK, side="right")))
        counts = ends[row:last] - starts[row:last]
        rows = np.repeat(np.arange(row, last), counts)
        within = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        yield rows, starts[rows] + within
        row = last
