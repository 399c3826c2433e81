"""Group the boxes of a split by size, aspect ratio, class, level, overlap with neighbors, and border."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from anchorloc.lab.anchor_coverage import AnchorCoverage, BoxTable, fraction_true
from anchorloc.metrics.analysis.slices import BORDER_SLICES, CROWDING_SLICES, crowding_of
from anchorloc.structures import BoolArray, IntArray

SCALES: Final = (8, 16, 32, 64, 128, 256, 512)  # px: borders of the size groups, as square root of the area
ASPECTS: Final = (0.25, 0.5, 0.8, 1.25, 2, 4)  # height / width: borders of the aspect groups


def _between(borders: Sequence[float], unit: str = "") -> tuple[str, ...]:
    """Return the names of the groups between borders."""
    pairs = zip((0, *borders), (*borders, math.inf), strict=True)
    return tuple(_span(low, high, unit) for low, high in pairs)


def _span(low: float, high: float, unit: str) -> str:
    if low == 0:
        return f"< {high:g}{unit}"
    return f">= {low:g}{unit}" if math.isinf(high) else f"{low:g}-{high:g}{unit}"


SIZES: Final = _between(SCALES, " px")  # names of the size groups


@dataclass(frozen=True, eq=False)
class Grouping:
    """One way to divide the boxes into groups."""

    name: str
    labels: tuple[str, ...]  # (G,) names of the groups
    group_of_box: IntArray  # (N,) the group of each box

    def mask(self, group: int) -> BoolArray:
        """Return the mask (N,) of the boxes in a group."""
        return np.asarray(self.group_of_box == group)


@dataclass(frozen=True)
class GroupCoverage:
    """How well the anchors cover the boxes of one group."""

    label: str
    boxes: int
    assigned: float  # fraction with a positive anchor
    recall50: float  # fraction that max-IoU without rescue assigns at IoU 0.5
    best_iou: float  # median of the greatest IoU with any anchor


def groupings(coverage: AnchorCoverage) -> tuple[Grouping, ...]:
    """Return the boxes grouped by size, aspect ratio, class, level, overlap with neighbors, and border of the image.

    The level of a box is the level of its positive anchor with the greatest IoU. A box without a positive anchor has
    the level of the anchor that overlaps it most, or "no level" if none does.
    """
    boxes, levels = coverage.boxes, len(coverage.positives_per_shape)
    level = np.where(boxes.level >= 0, boxes.level, boxes.best_level)
    classes = tuple(category.shown_name for category in coverage.views.source.categories)
    return (
        Grouping("size", SIZES, np.searchsorted(SCALES, boxes.scale, side="right")),
        Grouping("height/width", _between(ASPECTS), np.searchsorted(ASPECTS, boxes.height_to_width, side="right")),
        Grouping("class", classes, boxes.labels),
        Grouping("level", (*(f"level {number}" for number in range(levels)), "no level"), level % (levels + 1)),
        Grouping("overlap with neighbors", CROWDING_SLICES, crowding_of(boxes.neighbor_iou)),
        Grouping("border of the image", BORDER_SLICES, boxes.cut.astype(np.int64)),
    )


def group_coverages(boxes: BoxTable, grouping: Grouping) -> tuple[GroupCoverage, ...]:
    """Return the coverage of every group that has a box, in order."""
    rows = [(label, grouping.mask(group)) for group, label in enumerate(grouping.labels)]
    return tuple(_group_coverage(boxes, label, mask) for label, mask in rows if mask.any())


def _group_coverage(boxes: BoxTable, label: str, mask: BoolArray) -> GroupCoverage:
    return GroupCoverage(
        label=label,
        boxes=int(mask.sum()),
        assigned=fraction_true(boxes.assigned[mask]),
        recall50=fraction_true(boxes.exclusive_iou[mask] >= np.float32(0.5)),
        best_iou=float(np.median(boxes.best_iou[mask])),
    )


def cross_tabulate(boxes: BoxTable, divisions: Sequence[Grouping]) -> list[tuple[tuple[str, ...], int, int]]:
    """Return (one label per grouping, boxes, assigned boxes) for every combination that occurs, in order."""
    keys = np.stack([grouping.group_of_box for grouping in divisions], axis=1)  # (N, D)
    combinations, inverse = np.unique(keys, axis=0, return_inverse=True)
    counts = np.bincount(inverse.ravel(), minlength=len(combinations)).tolist()
    assigned = np.bincount(inverse.ravel(), weights=boxes.assigned, minlength=len(combinations)).astype(int).tolist()
    labels = [tuple(g.labels[i] for g, i in zip(divisions, row, strict=True)) for row in combinations.tolist()]
    return list(zip(labels, counts, assigned, strict=True))


def size_by_level(coverage: AnchorCoverage) -> NDArray[np.int64]:
    """Return a table (size groups, levels + 1) of boxes by the level of their strongest positive; none is last."""
    boxes, levels = coverage.boxes, len(coverage.positives_per_shape)
    table = np.zeros((len(SCALES) + 1, levels + 1), np.int64)
    np.add.at(table, (np.searchsorted(SCALES, boxes.scale, side="right"), boxes.level % (levels + 1)), 1)
    return table
