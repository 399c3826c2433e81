"""Compute COCO's numbers for images that count several times or not at all, from detections matched once.

The numbers equal the numbers of a set that holds image i weights[i] times, without making that set, for a bootstrap.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np

from anchorloc.metrics.box_tables import DetectionTable, TruthTable
from anchorloc.metrics.match_kernels import IGNORED, LANES, accumulate, count_boxes
from anchorloc.metrics.matching import AREAS, MatchResult, coco_slices, match_detections
from anchorloc.metrics.protocol import COCO, Protocol
from anchorloc.metrics.scores import Scores
from anchorloc.structures import Float64Array, IntArray

RECALLS: Final = tuple(float(recall) for recall in np.linspace(0, 1, 101))  # the R recalls of COCO's AP
MOST: Final = 1 << 31  # sums below it fit 32 bits


@dataclass(frozen=True, eq=False)
class WeightedScores:
    """AP and recall of every class, slice and IoU threshold; -1 where no box is to find."""

    ap: Float64Array  # (C, S, T) for the last limit
    recall: Float64Array  # (C, S, T, K) for each limit


@dataclass(frozen=True, eq=False)
class PrecisionRecall(WeightedScores):
    """The precision at every recall too."""

    precision: Float64Array  # (C, S, T, R) at RECALLS, for the last limit


def weighted_scores(
    match_result: MatchResult, weights: IntArray | None = None, limits: Sequence[int] = (100,)
) -> WeightedScores:
    """Return what pycocotools gives for a set that holds image i `weights[i]` times.

    The copies of an image rank next to each other. If other images have detections of the same score, a set that gives
    the copies ids of their own ranks them differently, and its numbers differ by that.

    Args:
        match_result: the matches.
        weights: (N,) whole numbers from 0; 1 each by default.
        limits: detections counted per class and image, ascending.

    Raises:
        ValueError: the weights are not N whole numbers from 0.
    """
    return next(scores_of_sets(match_result, [_ones(match_result) if weights is None else weights], limits))


def weighted_curves(
    match_result: MatchResult, weights: IntArray | None = None, limits: Sequence[int] = (100,)
) -> PrecisionRecall:
    """Return what `weighted_scores` does, and the precision at every recall: 808 bytes a class, slice and threshold."""
    sets = [_ones(match_result) if weights is None else weights]
    ap, recall, precision = _accumulate(match_result, sets, limits, len(RECALLS))
    return PrecisionRecall(ap[..., 0], recall[..., 0], precision)


def scores_of_sets(
    match_result: MatchResult, sets: Iterable[IntArray], limits: Sequence[int] = (100,)
) -> Iterator[WeightedScores]:
    """Yield what `weighted_scores` returns for each of several `weights`; LANES of them take the time of one.

    Raises:
        ValueError: as `weighted_scores`.
    """
    for some in in_lanes(sets):
        ap, recall, _ = _accumulate(match_result, some, limits, 0)
        for lane in range(len(some)):
            yield WeightedScores(ap[..., lane], recall[..., lane])


def in_lanes(sets: Iterable[IntArray]) -> Iterator[list[IntArray]]:
    """Yield as many sets of weights together as one pass of `scores_of_sets` takes."""
    left = iter(sets)
    while some := list(islice(left, LANES)):
        yield some


def _ones(match_result: MatchResult) -> IntArray:
    return np.ones(match_result.image_count, np.int64)


def _accumulate(
    match_result: MatchResult, sets: Sequence[IntArray], limits: Sequence[int], points: int
) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Return AP (C, S, T, LANES), recall (C, S, T, K, LANES) and the first set's precision (C, S, T, points)."""
    index, lanes = match_result.accumulation_index, np.zeros((match_result.image_count, LANES), np.int64)
    for lane, given in enumerate(sets):
        weights = np.asarray(given)
        if weights.shape != (match_result.image_count,) or weights.dtype.kind not in "iu" or (weights < 0).any():
            raise ValueError(
                f"need {match_result.image_count} whole numbers from 0 as weights, got {weights.dtype} {weights.shape}"
            )
        lanes[:, lane] = weights
    if lanes.max(initial=0) * max(len(index.images), len(match_result.truth_images)) < MOST:
        lanes = lanes.astype(np.int32)  # twice as many in a register
    cells = (match_result.classes, *match_result.states.shape[:2])
    boxes = np.zeros((*cells[:2], LANES), lanes.dtype)
    count_boxes(match_result.truth_images, match_result.truth_labels, match_result.countable_boxes, lanes, boxes)
    ap, recall = np.empty((*cells, LANES)), np.empty((*cells, len(limits), LANES))
    precision = np.empty((*cells, points))
    accumulate(
        index.images,
        index.starts,
        index.events,
        index.is_true_positive,
        index.ranks,
        index.event_starts,
        lanes,
        boxes,
        np.asarray(limits),
        np.asarray(RECALLS),
        precision,
        ap,
        recall,
    )
    return ap, recall, precision


def fast_score(
    truth: TruthTable,
    detections: DetectionTable,
    image_order: Sequence[int],
    classes: int,
    max_detections: Sequence[int],
    by_size: bool = True,
    protocol: Protocol = COCO,
) -> Scores:
    """Return what `pycocotools_score` returns, equal to the bit, in a fraction of the time."""
    slices, ious = coco_slices(truth, detections, by_size, protocol), protocol.matched_ious
    match_result = match_detections(truth, detections, image_order, classes, max_detections[-1], slices, ious)
    curves = weighted_curves(match_result, limits=max_detections)
    matches = np.full((len(ious), len(detections.scores)), -1, np.int32)
    ignored = np.ones(len(detections.scores), np.bool_)
    matches[:, match_result.rows] = match_result.matches[protocol.half_first]
    ignored[match_result.rows] = match_result.states[0, protocol.half_first[0]] == IGNORED
    return Scores(
        precision=_all_areas(curves.precision).transpose(2, 3, 0, 1),
        recall=_all_areas(curves.recall).transpose(2, 0, 1, 3),
        matches=matches,
        ignored=ignored,
    )


def _all_areas(values: Float64Array) -> Float64Array:
    """Return values (C, S, ...) of the first S of AREAS for all of them; -1 for the others."""
    missing = len(AREAS) - values.shape[1]
    return np.pad(values, ((0, 0), (0, missing), (0, 0), (0, 0)), constant_values=-1) if missing else values
