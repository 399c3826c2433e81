"""Compute the arrays of pycocotools without pycocotools, in a fraction of the time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from anchorloc.metrics.box_tables import DetectionTable, TruthTable
from anchorloc.metrics.match_kernels import IGNORED
from anchorloc.metrics.matching import AREAS, IOU_THRESHOLDS, coco_slices, match_detections
from anchorloc.metrics.scores import Scores
from anchorloc.metrics.weighted_ap import RECALLS, weighted_curves


def fast_score(
    truth: TruthTable,
    detections: DetectionTable,
    image_order: Sequence[int],
    classes: int,
    max_detections: Sequence[int],
    by_size: bool = True,
) -> Scores:
    """Return what `pycocotools_score` returns, equal to the bit, in a fraction of the time."""
    slices = coco_slices(truth, detections, by_size)
    match_result = match_detections(truth, detections, image_order, classes, max_detections[-1], slices)
    shape = (len(IOU_THRESHOLDS), len(RECALLS), classes, len(AREAS), len(max_detections))
    precision, recall = np.full(shape, -1.0), np.full((shape[0], *shape[2:]), -1.0)
    for place, limit in enumerate(max_detections):
        curves = weighted_curves(match_result.up_to(limit))
        precision[:, :, :, : len(slices), place] = curves.precision.transpose(2, 3, 0, 1)
        recall[:, :, : len(slices), place] = curves.recall[..., 0].transpose(2, 0, 1)
    matches = np.full((len(IOU_THRESHOLDS), len(detections.scores)), -1)
    ignored = np.ones(len(detections.scores), np.bool_)
    matches[:, match_result.rows] = match_result.matches
    ignored[match_result.rows] = match_result.states[0, 0] == IGNORED
    return Scores(precision, recall, matches, ignored)
