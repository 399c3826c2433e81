"""Simulated detectors: what each finds in the same images, as matched detections of one class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from anchorloc.compare.statistics.jackknife import LeftOutScores, deal_blocks, left_out_weights
from anchorloc.metrics import IOU_THRESHOLDS, MatchResult, weighted_scores
from anchorloc.structures import Float64Array, IntArray

BOXES, FALSE_POSITIVES = 2, 1.5  # boxes beyond the first, and false positives, in the mean image


def simulated_matches(
    random: np.random.Generator, images: int, qualities: Sequence[float], groups: IntArray | None = None
) -> list[MatchResult]:
    """Return what detectors of given qualities find in the same images.

    The IoU of a detection with its box is the logistic function of the sum of the quality, what makes the image hard
    for all detectors, what makes it (or its group) hard for one, and what makes the box hard for one. The scores of
    each detector have a scale of their own.
    """
    counts = 1 + random.poisson(BOXES, images)
    boxes = np.repeat(np.arange(images), counts)
    hard = random.normal(0, 1, images)
    groups = np.arange(images) if groups is None else groups
    results = []
    for number, quality in enumerate(qualities):
        own = random.normal(0, 1, int(groups.max()) + 1)[groups]
        latent = quality + hard[boxes] + own[boxes] + random.normal(0, 1, len(boxes))
        false = np.repeat(np.arange(images), random.poisson(FALSE_POSITIVES, images))
        scores = np.concatenate([latent + random.normal(0, 1, len(boxes)), random.normal(-0.5, 1.5, len(false))])
        iou = np.concatenate([1 / (1 + np.exp(-latent)), np.zeros(len(false))])
        order = np.argsort(-scores * (1 + number))
        results.append(_match_result(iou[order], np.concatenate([boxes, false])[order], boxes, images))
    return results


def _match_result(iou: Float64Array, found_in: IntArray, boxes: IntArray, images: int) -> MatchResult:
    count, states = len(iou), (iou >= np.array(IOU_THRESHOLDS)[:, None]).astype(np.int8)
    return MatchResult(
        rows=np.arange(count),
        images=found_in,
        ranks=np.zeros(count, np.int64),
        starts=np.array([0, count]),
        states=states[None],
        matches=np.where(states, 0, -1),
        truth_images=boxes,
        truth_labels=np.zeros(len(boxes), np.int64),
        countable_boxes=np.ones((1, len(boxes)), np.bool_),
        image_count=images,
    )


def simulated_scores(files: Sequence[MatchResult], groups: IntArray) -> LeftOutScores:
    """Return the AP of the files of one name, on all images and without each block."""
    blocks = deal_blocks(groups)

    def ap(weights: IntArray | None = None) -> list[float]:
        return [float(weighted_scores(one, weights).ap.mean()) for one in files]

    return LeftOutScores(np.array(ap()), np.array([ap(weights) for weights in left_out_weights(blocks)]))
