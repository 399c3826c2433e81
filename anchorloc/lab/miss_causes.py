"""Find the step of the pipeline at which a box is missed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from anchorloc.boxes import clip_boxes_to_image, paired_box_iou
from anchorloc.config import Config
from anchorloc.lab.anchor_coverage import BoxStatus, box_statuses
from anchorloc.lab.network_views import NetworkView
from anchorloc.metrics import IOU_THRESHOLDS
from anchorloc.structures import Assignment, BoolArray, Detections, FloatArray, IntArray, Size, Target


class MissCause(IntEnum):
    """Why a perfect network does not find a box at every IoU; the first cause that applies counts."""

    UNUSABLE = 0  # zero size or outside its image: not trained on, but counted in evaluation
    NO_ANCHOR = 1  # no anchor is assigned to it even if it is alone in its image
    COLLISION = 2  # other boxes have all its anchors
    CODER = 3  # larger than the coder can decode from any of its positive anchors
    SUPPRESSED = 4  # non-maximum suppression keeps a neighbor of the same class instead
    LIMIT = 5  # beyond the top-k of a level, or the detection limit of an image
    BORDER = 6  # reaches out of the image, where detections are clipped, so that the IoU is too low
    ROUNDING = 7  # found, but not at the strictest IoU


@dataclass(frozen=True, eq=False)
class DecodedImage:
    """The output of a perfect network for one image, decoded."""

    view: NetworkView
    assignment: Assignment
    detections: Detections  # after the top-k of each level, before suppression
    survivors: IntArray  # rows of `detections` that suppression keeps if there is no limit, by score
    kept: IntArray  # rows of `detections` that are left within the limit


def miss_causes(config: Config, decoded: DecodedImage, truth: Target, size: Size) -> IntArray:
    """Return for each annotated box (M,) the MissCause that applies if it is missed.

    Args:
        size: (height, width) of the image.
    """
    target, anchors = decoded.view.target, decoded.detections.anchors
    places = np.searchsorted(truth.rows, target.rows)  # a source keeps the order of its file
    causes = np.full(len(truth), int(MissCause.UNUSABLE))
    causes[places] = MissCause.ROUNDING
    causes[places[_over_border(truth.boxes[places], size)]] = MissCause.BORDER
    in_top_k, survived, kept = (
        _has_anchor(decoded, anchors[rows]) for rows in (slice(None), decoded.survivors, decoded.kept)
    )
    causes[places[~kept]] = MissCause.LIMIT
    causes[places[in_top_k & ~survived]] = MissCause.SUPPRESSED
    causes[places[_beyond_coder(config, decoded)]] = MissCause.CODER
    status = box_statuses(config, decoded.view, decoded.assignment)
    causes[places[status == BoxStatus.COLLISION]] = MissCause.COLLISION
    causes[places[status == BoxStatus.NO_ANCHOR]] = MissCause.NO_ANCHOR
    return causes


def assigned_boxes(decoded: DecodedImage, truth: Target, anchors: IntArray) -> IntArray:
    """Return for each of the positive `anchors` (D,) the annotated box that it is assigned to."""
    assignment = decoded.assignment
    rows = decoded.view.target.rows[assignment.rows[np.searchsorted(assignment.anchors, anchors)]]
    return np.searchsorted(truth.rows, rows)


def _over_border(boxes: FloatArray, size: Size) -> BoolArray:
    """Return (M,) whether the part of a box inside the image is too small to match the box at every IoU."""
    return np.asarray(paired_box_iou(clip_boxes_to_image(boxes, size), boxes) < IOU_THRESHOLDS[-1])


def _has_anchor(decoded: DecodedImage, anchors: IntArray) -> BoolArray:
    """Return (M,) whether a box has one of these positive anchors."""
    assignment = decoded.assignment
    has = np.zeros(len(decoded.view.target), np.bool_)
    has[assignment.rows[np.searchsorted(assignment.anchors, anchors)]] = True
    return has


def _beyond_coder(config: Config, decoded: DecodedImage) -> BoolArray:
    """Return (M,) whether a box has positive anchors, but is longer than the coder can make any of them."""
    assignment, target, grid = decoded.assignment, decoded.view.target, decoded.view.grid
    box, anchor = target.boxes[assignment.rows], grid.boxes[assignment.anchors]
    within = (box[:, 2:] - box[:, :2] <= config.coder.max_ratio * (anchor[:, 2:] - anchor[:, :2])).all(axis=1)
    return _has_anchor(decoded, assignment.anchors) & ~_has_anchor(decoded, assignment.anchors[within])
