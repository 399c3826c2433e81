"""The boxes of a survey by size, proportions, class and level."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from anchorloc.lab.anchor_coverage import BoxTable, share
from anchorloc.structures import BoolArray, Category, IntArray

SCALES: Final = (8, 16, 32, 64, 128, 256, 512)  # borders of size groups: pixels of the square root of the area
ASPECTS: Final = (0.25, 0.5, 0.8, 1.25, 2, 4)  # borders of groups of height / width


def _between(borders: Sequence[float], unit: str = "") -> tuple[str, ...]:
    """Name the groups that lie between borders."""
    pairs = zip((0, *borders), (*borders, math.inf), strict=True)
    return tuple(_span(low, high, unit) for low, high in pairs)


def _span(low: float, high: float, unit: str) -> str:
    if low == 0:
        return f"< {high:g}{unit}"
    return f">= {low:g}{unit}" if math.isinf(high) else f"{low:g}-{high:g}{unit}"


SIZES: Final = _between(SCALES, " px")  # the names of the size groups


@dataclass(frozen=True, eq=False)
class Grouping:
    """One way to divide the boxes."""

    name: str
    labels: tuple[str, ...]  # of the G groups
    of: IntArray  # (N,) the group of each box

    def mask(self, group: int) -> BoolArray:
        """(N,) the boxes of a group."""
        return np.asarray(self.of == group)


@dataclass(frozen=True)
class GroupShares:
    """What becomes of the boxes of one group."""

    label: str
    boxes: int
    assigned: float  # share that some anchor learns
    recall50: float  # share that max-IoU without rescue would assign at IoU 0.5
    best_iou: float  # median, with any anchor


def groupings(boxes: BoxTable, categories: Sequence[Category], levels: int) -> tuple[Grouping, ...]:
    """Return the ways to divide `boxes`: by size, aspect, class, and level.

    A box belongs to the level of its strongest positive; without one, to that of the anchor it overlaps most, and
    without that to none.
    """
    level = np.where(boxes.level >= 0, boxes.level, boxes.best_level)
    return (
        Grouping("size", SIZES, np.searchsorted(SCALES, boxes.scale, side="right")),
        Grouping("height/width", _between(ASPECTS), np.searchsorted(ASPECTS, boxes.height_to_width, side="right")),
        Grouping("class", tuple(category.name for category in categories), boxes.labels),
        Grouping("level", (*(f"level {number}" for number in range(levels)), "no level"), level % (levels + 1)),
    )


def shares(boxes: BoxTable, grouping: Grouping) -> tuple[GroupShares, ...]:
    """Return the groups that hold a box, in their order."""
    rows = [(label, grouping.mask(group)) for group, label in enumerate(grouping.labels)]
    return tuple(_shares(boxes, label, mask) for label, mask in rows if mask.any())


def _shares(boxes: BoxTable, label: str, mask: BoolArray) -> GroupShares:
    recall = share(boxes.owned_iou[mask] >= np.float32(0.5))
    return GroupShares(
        label, int(mask.sum()), share(boxes.learned[mask]), recall, float(np.median(boxes.best_iou[mask]))
    )


def crossed(boxes: BoxTable, divisions: Sequence[Grouping]) -> list[tuple[tuple[str, ...], int, int]]:
    """Return (one label per grouping, boxes, learned boxes) of every combination that occurs, in order."""
    keys = np.stack([grouping.of for grouping in divisions], axis=1)  # (N, D)
    combinations, inverse = np.unique(keys, axis=0, return_inverse=True)
    counts = np.bincount(inverse.ravel(), minlength=len(combinations)).tolist()
    learned = np.bincount(inverse.ravel(), weights=boxes.learned, minlength=len(combinations)).astype(int).tolist()
    labels = [tuple(g.labels[i] for g, i in zip(divisions, row, strict=True)) for row in combinations.tolist()]
    return list(zip(labels, counts, learned, strict=True))


def size_by_level(boxes: BoxTable, levels: int) -> NDArray[np.int64]:
    """Return a table (size groups, levels + 1) of boxes by the level of their strongest positive, none at the end."""
    table = np.zeros((len(SCALES) + 1, levels + 1), np.int64)
    np.add.at(table, (np.searchsorted(SCALES, boxes.scale, side="right"), boxes.level % (levels + 1)), 1)
    return table
