"""The box of greatest IoU for each detection, whatever the matching says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anchorloc.boxes import box_iou
from anchorloc.metrics.analysis.matched import MatchedDetections
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
    """Find the nearest boxes of every detection, image by image."""
    detections, truth = matched.detections, matched.truth
    count, boxes = len(detections.scores), len(truth.images)
    same_iou, other_iou, best_iou, neighbor_iou = (np.zeros(n) for n in (count, count, boxes, boxes))
    same, other = np.full(count, -1), np.full(count, -1)
    starts, box_starts = (np.searchsorted(table.images, np.arange(matched.images + 1)) for table in (detections, truth))
    for image in range(matched.images):
        mine = slice(starts[image], starts[image + 1])
        rows = np.arange(box_starts[image], box_starts[image + 1])
        rows = rows[~truth.crowd[rows]]
        if not len(rows):
            continue
        among = box_iou(truth.boxes[rows], truth.boxes[rows])
        np.fill_diagonal(among, 0)
        neighbor_iou[rows] = among.max(axis=1)
        if mine.start == mine.stop:
            continue
        overlaps = box_iou(detections.boxes[mine], truth.boxes[rows])
        same_class = detections.labels[mine, None] == truth.labels[rows]
        for table, iou, row in ((same_class, same_iou, same), (~same_class, other_iou, other)):
            kept = np.where(table, overlaps, -1)
            winner = kept.argmax(axis=1)
            best = kept[np.arange(len(kept)), winner]
            iou[mine], row[mine] = np.maximum(best, 0), np.where(best >= 0, rows[winner], -1)
        best_iou[rows] = np.where(same_class, overlaps, 0).max(axis=0)
    return NearestBoxes(same_iou, same, other_iou, other, best_iou, neighbor_iou)
