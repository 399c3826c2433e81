"""What each anchor shape and each level gives, and what would be lost without it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from anchorloc.metrics.analysis.errors import known_mean
from anchorloc.metrics.analysis.matched import Case
from anchorloc.metrics.analysis.nearest import Nearest
from anchorloc.metrics.box_tables import DetectionTable
from anchorloc.metrics.matching import coco_slices, match_detections
from anchorloc.metrics.weighted_ap import weighted_curves
from anchorloc.structures import BoolArray, IntArray


@dataclass(frozen=True, eq=False)
class AnchorWork:
    """Which anchors made the detections, and what the anchors are."""

    level: IntArray  # (D,) of the anchor of each detection, all images joined
    shape: IntArray  # (D,) place among the shapes of that level
    strides: tuple[float, ...]  # (L,)
    shapes: tuple[tuple[tuple[float, float], ...], ...]  # per level the (width, height) of its shapes, network pixels
    anchors: tuple[float, ...]  # (L,) share of all anchors of an image that lie on the level


@dataclass(frozen=True)
class ShapeYield:
    """One shape of one level, or a whole level."""

    level: int
    stride: float
    size: tuple[float, float] | None  # (width, height) in network pixels; None for a level of several shapes
    anchors: float  # share of all anchors: its cost
    kept: float  # share of the detections above the score threshold
    right: float  # share of those of them that are right
    iou: float | None  # mean IoU of the right ones
    loss: float | None  # of AP, if its detections were left out


def shape_yields(case: Case, near: Nearest, work: AnchorWork, kept: BoolArray) -> Iterator[ShapeYield]:
    """Yield the levels, each followed by its shapes.

    The loss is that of the stored detections: without a shape, others that were suppressed would step in for some, and
    a network trained without it would use its neighbors. So it is the most that can be lost, and one near zero is sure.
    """
    whole = _ap(case, np.ones(len(kept), np.bool_))
    counted = kept & case.counts
    right = counted & (case.matched >= 0)

    def score(mine: BoolArray) -> tuple[float, float, float | None, float | None]:
        hits = right & mine
        rest = _ap(case, ~mine) if mine.any() else whole
        return (
            int((counted & mine).sum()) / max(1, int(counted.sum())),
            int(hits.sum()) / max(1, int(right.sum())),
            float(near.same_iou[hits].mean()) if hits.any() else None,
            None if whole is None or rest is None else whole - rest,
        )

    for level, shapes in enumerate(work.shapes):
        only = shapes[0] if len(shapes) == 1 else None  # of one shape: no need to say it twice
        yield ShapeYield(level, work.strides[level], only, work.anchors[level], *score(work.level == level))
        if len(shapes) > 1:
            yield from _shapes(work, level, score)


def _shapes(
    work: AnchorWork, level: int, score: Callable[[BoolArray], tuple[float, float, float | None, float | None]]
) -> Iterator[ShapeYield]:
    share = work.anchors[level] / len(work.shapes[level])
    for place, size in enumerate(work.shapes[level]):
        mine = (work.level == level) & (work.shape == place)
        yield ShapeYield(level, work.strides[level], size, share, *score(mine))


def _ap(case: Case, stays: BoolArray) -> float | None:
    """AP of a part of the detections, matched anew."""
    table = DetectionTable(**{name: values[stays] for name, values in vars(case.detections).items()})
    limit = int(case.outcomes.ranks.max(initial=0)) + 1
    whole = coco_slices(case.truth, table, by_size=False)
    outcomes = match_detections(case.truth, table, case.order, len(case.categories), limit, whole)
    return known_mean(weighted_curves(outcomes).ap)
