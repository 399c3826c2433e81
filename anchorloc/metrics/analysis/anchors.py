"""What each anchor shape and each pyramid level contributes, and what AP would lose without it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from anchorloc.metrics.analysis.matched import MatchedDetections
from anchorloc.metrics.analysis.nearest_boxes import NearestBoxes
from anchorloc.metrics.box_tables import DetectionTable
from anchorloc.metrics.matching import coco_slices, match_detections
from anchorloc.metrics.scores import mean_of_known
from anchorloc.metrics.weighted_ap import weighted_scores
from anchorloc.structures import BoolArray, IntArray


@dataclass(frozen=True, eq=False)
class AnchorUsage:
    """The anchor of every detection, and the anchors of each level."""

    level: IntArray  # (D,) pyramid level of each detection's anchor, all images joined
    shape: IntArray  # (D,) index into the shapes of that level
    strides: tuple[float, ...]  # (L,)
    shapes: tuple[tuple[tuple[float, float], ...], ...]  # per level the (width, height) of its shapes, network pixels
    anchors: tuple[float, ...]  # (L,) share of an image's anchors that lie on the level


@dataclass(frozen=True)
class ShapeContribution:
    """What one anchor shape of one level, or a whole level, contributes."""

    level: int
    stride: float
    size: tuple[float, float] | None  # (width, height) in network pixels; None for a level of several shapes
    anchors: float  # share of all anchors: the cost
    detection_fraction: float  # share of the detections above the score threshold
    true_positive_fraction: float  # share of the true positives above the score threshold
    iou: float | None  # mean IoU of its true positives
    ap_loss: float | None  # AP lost if its detections are removed


Contribution = tuple[float, float, float | None, float | None]  # the last four fields of ShapeContribution


def shape_contributions(
    matched: MatchedDetections, nearest: NearestBoxes, usage: AnchorUsage, kept: BoolArray
) -> Iterator[ShapeContribution]:
    """Yield the levels, each followed by its shapes.

    The loss removes stored detections. Without the shape, others that NMS suppressed would replace some of them, and a
    network trained without it would use neighboring shapes. So the loss is an upper bound, and one near zero is sure.
    """
    whole = _ap(matched, np.ones(len(kept), np.bool_))
    counted = kept & matched.counted
    true_positives = counted & matched.is_true_positive

    def contribution(mine: BoolArray) -> Contribution:
        hits = true_positives & mine
        rest = _ap(matched, ~mine) if mine.any() else whole
        return (
            int((counted & mine).sum()) / max(1, int(counted.sum())),
            int(hits.sum()) / max(1, int(true_positives.sum())),
            float(nearest.same_iou[hits].mean()) if hits.any() else None,
            None if whole is None or rest is None else whole - rest,
        )

    for level, shapes in enumerate(usage.shapes):
        only = shapes[0] if len(shapes) == 1 else None  # a level of one shape gets one row, not two
        whole_level = contribution(usage.level == level)
        yield ShapeContribution(level, usage.strides[level], only, usage.anchors[level], *whole_level)
        if len(shapes) > 1:
            yield from _shapes(usage, level, contribution)


def _shapes(
    usage: AnchorUsage, level: int, contribution: Callable[[BoolArray], Contribution]
) -> Iterator[ShapeContribution]:
    share = usage.anchors[level] / len(usage.shapes[level])
    for place, size in enumerate(usage.shapes[level]):
        mine = (usage.level == level) & (usage.shape == place)
        yield ShapeContribution(level, usage.strides[level], size, share, *contribution(mine))


def _ap(matched: MatchedDetections, stays: BoolArray) -> float | None:
    """Match the detections that stay anew and return their AP."""
    table = DetectionTable(**{name: values[stays] for name, values in vars(matched.detections).items()})
    limit = int(matched.match_result.ranks.max(initial=0)) + 1
    whole = coco_slices(matched.truth, table, by_size=False)
    match_result = match_detections(matched.truth, table, matched.image_order, len(matched.categories), limit, whole)
    return mean_of_known(weighted_scores(match_result).ap)
