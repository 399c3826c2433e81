"""The boxes nearest to each detection, whatever found what."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anchorloc.boxes import box_iou
from anchorloc.metrics.analysis.matched import Case
from anchorloc.metrics.box_tables import Float64Array
from anchorloc.structures import IntArray


@dataclass(frozen=True, eq=False)
class Nearest:
    """By greatest IoU, crowd boxes aside; IoU 0 and row -1 where an image has no such box."""

    same_iou: Float64Array  # (D,) with a box of the class of the detection
    same: IntArray  # (D,) its row in the truth table
    other_iou: Float64Array  # (D,) with a box of another class
    other: IntArray  # (D,)
    best_iou: Float64Array  # (G,) of each box with any detection of its class
    neighbor_iou: Float64Array  # (G,) of each box with any other box of its image


def nearest(case: Case) -> Nearest:
    """Look through all images."""
    detections, truth = case.detections, case.truth
    count, boxes = len(detections.scores), len(truth.images)
    same_iou, other_iou, best_iou, neighbor_iou = (np.zeros(n) for n in (count, count, boxes, boxes))
    same, other = np.full(count, -1), np.full(count, -1)
    starts, box_starts = (np.searchsorted(table.images, np.arange(case.images + 1)) for table in (detections, truth))
    for image in range(case.images):
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
        alike = detections.labels[mine, None] == truth.labels[rows]
        for table, iou, row in ((alike, same_iou, same), (~alike, other_iou, other)):
            kept = np.where(table, overlaps, -1)
            winner = kept.argmax(axis=1)
            best = kept[np.arange(len(kept)), winner]
            iou[mine], row[mine] = np.maximum(best, 0), np.where(best >= 0, rows[winner], -1)
        best_iou[rows] = np.where(alike, overlaps, 0).max(axis=0)
    return Nearest(same_iou, same, other_iou, other, best_iou, neighbor_iou)
