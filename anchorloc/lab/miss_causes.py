"""Where on its way through the pipeline a box gets lost."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from anchorloc.boxes import clip_boxes_to_image, paired_box_iou
from anchorloc.config import Config
from anchorloc.lab.anchor_coverage import Fate, fates
from anchorloc.lab.network_views import View
from anchorloc.metrics import IOU_THRESHOLDS
from anchorloc.structures import Assignment, BoolArray, Detections, FloatArray, IntArray, Target


class Cause(IntEnum):
    """Why a perfect network does not find a box at every IoU. The first that applies, in this order, is the one."""

    UNUSABLE = 0  # of zero size or outside its image: not trained on, but there to be found
    NO_ANCHOR = 1  # no anchor would learn it even if it were alone in its image
    COLLISION = 2  # other boxes have all of its anchors
    CODER = 3  # larger than the coder can make any anchor that learns it
    SUPPRESSED = 4  # a neighbor of its class took it away in non-maximum suppression
    LIMIT = 5  # past the candidates of a level, or the detections of an image
    BORDER = 6  # reaches so far over the border that a detection, which ends there, overlaps too little
    ROUNDING = 7  # found, but not at the strictest IoU


@dataclass(frozen=True, eq=False)
class Passage:
    """One image on its way through the decoder of a perfect network."""

    view: View
    assignment: Assignment
    decoded: Detections  # what the top-k of each level leaves
    survivors: IntArray  # the rows of `decoded` that suppression would leave if there were no limit, by score
    kept: IntArray  # and those that are left with the limit


def suspect(config: Config, passage: Passage, truth: Target, size: tuple[int, int]) -> IntArray:
    """Return for each annotated box (M,) the cause by which it is lost, if it is; `size` is (height, width)."""
    target = passage.view.target
    places = np.searchsorted(truth.rows, target.rows)  # a source keeps the order of its file
    causes = np.full(len(truth), int(Cause.UNUSABLE))
    causes[places] = Cause.ROUNDING
    causes[places[_over_border(truth.boxes[places], size)]] = Cause.BORDER
    decoded, survived, kept = (
        _has_anchor(passage, passage.decoded.anchors[rows]) for rows in (slice(None), passage.survivors, passage.kept)
    )
    causes[places[~kept]] = Cause.LIMIT
    causes[places[decoded & ~survived]] = Cause.SUPPRESSED
    causes[places[_beyond_coder(config, passage)]] = Cause.CODER
    fate = fates(config, passage.view, passage.assignment)
    causes[places[fate == Fate.COLLISION]] = Cause.COLLISION
    causes[places[fate == Fate.NO_ANCHOR]] = Cause.NO_ANCHOR
    return causes


def owner_of(passage: Passage, truth: Target, anchors: IntArray) -> IntArray:
    """Return for each of the given positive anchors the annotated box that it learns."""
    assignment = passage.assignment
    rows = passage.view.target.rows[assignment.rows[np.searchsorted(assignment.anchors, anchors)]]
    return np.searchsorted(truth.rows, rows)


def _over_border(boxes: FloatArray, size: tuple[int, int]) -> BoolArray:
    """(M,) whether what lies inside the image is too little of a box to be taken for it at every IoU."""
    return np.asarray(paired_box_iou(clip_boxes_to_image(boxes, size), boxes) < IOU_THRESHOLDS[-1])


def _has_anchor(passage: Passage, anchors: IntArray) -> BoolArray:
    """(M,) whether a box is learned by one of the given positive anchors."""
    assignment = passage.assignment
    has = np.zeros(len(passage.view.target), np.bool_)
    has[assignment.rows[np.searchsorted(assignment.anchors, anchors)]] = True
    return has


def _beyond_coder(config: Config, passage: Passage) -> BoolArray:
    """(M,) whether a box has anchors, but is longer than the coder can make each of them."""
    assignment, target, grid = passage.assignment, passage.view.target, passage.view.grid
    box, anchor = target.boxes[assignment.rows], grid.boxes[assignment.anchors]
    within = (box[:, 2:] - box[:, :2] <= config.coder.max_ratio * (anchor[:, 2:] - anchor[:, :2])).all(axis=1)
    return _has_anchor(passage, assignment.anchors) & ~_has_anchor(passage, assignment.anchors[within])
