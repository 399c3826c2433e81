"""The box of greatest IoU for each detection, whatever the matching says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anchorloc.metrics.analysis.matched import MatchedDetections
from anchorloc.metrics.analysis.nearest_box_kernels import find_nearest
from anchorloc.structures import Float64Array, IntArray


@dataclass(frozen=True, eq=False)
class NearestBoxes:
    """The nearest boxes, crowd boxes aside; IoU 0 and row -1 where an image has no such box."""

    same_iou: Float64Array  # (D,) greatest IoU with a box of the detection's class
    same: IntArray  # (D,) row of that box in the truth table
    other_iou: Float64Array  # (D,) greatest IoU with a box of another class
    other: IntArray  # (D,)
    best_iou: Float64Array  # (G,) greatest IoU of each box with a detection of its class
    neighbor_iou: Float64Array  # (G,) greatest IoU of each box with another box of its image


def nearest_boxes(matched: MatchedDetections) -> NearestBoxes:
    """Find the nearest boxes of every detection."""
    detections, truth = matched.detections, matched.truth
    images = np.arange(matched.images + 1)
    detected, annotated = len(detections.scores), len(truth.images)
    found = NearestBoxes(
        same_iou=np.zeros(detected),
        same=np.full(detected, -1),
        other_iou=np.zeros(detected),
        other=np.full(detected, -1),
        best_iou=np.zeros(annotated),
        neighbor_iou=np.zeros(annotated),
    )
    find_nearest(
        detections.boxes,
        detections.labels,
        np.searchsorted(detections.images, images),
        truth.boxes,
        truth.labels,
        truth.crowd,
        np.searchsorted(truth.images, images),
        *vars(found).values(),
    )
    return found
