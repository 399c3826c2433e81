"""COCO's numbers of images that count several times or not at all, from detections matched once.

The numbers of a set in which image i stands w[i] times, without making it: what a bootstrap over images asks for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from anchorloc.metrics.box_tables import Float64Array
from anchorloc.metrics.match_kernels import accumulate
from anchorloc.metrics.matching import Outcomes
from anchorloc.structures import IntArray

RECALLS: Final = tuple(float(recall) for recall in np.linspace(0, 1, 101))  # R


@dataclass(frozen=True, eq=False)
class Curves:
    """Precision and recall of every class, slice and IoU threshold; -1 where there is nothing to find."""

    precision: Float64Array  # (C, S, T, R) at RECALLS, with the last limit
    recall: Float64Array  # (C, S, T, K) with each limit

    @property
    def ap(self) -> Float64Array:
        """(C, S, T) average precision."""
        return np.asarray(self.precision.mean(axis=3))


def weighted_curves(outcomes: Outcomes, weights: IntArray | None = None, limits: Sequence[int] = (100,)) -> Curves:
    """Return what pycocotools gives for the images, each taken `weights[i]` times; with no weights, once.

    A copy of an image ranks beside it: where detections of other images have the same score, a set with copies under
    ids of their own ranks them otherwise, and its numbers differ by that.

    Args:
        weights: (N,) whole numbers from 0.
        limits: detections of a class and image that count, ascending.

    Raises:
        ValueError: the weights are not N whole numbers from 0.
    """
    weights = np.ones(outcomes.image_count, np.int64) if weights is None else np.asarray(weights)
    if weights.shape != (outcomes.image_count,) or weights.dtype.kind not in "iu" or (weights < 0).any():
        raise ValueError(
            f"need {outcomes.image_count} whole numbers from 0 as weights, got {weights.dtype} {weights.shape}"
        )
    slices, thresholds, _ = outcomes.states.shape
    precision = np.empty((outcomes.classes, slices, thresholds, len(RECALLS)))
    recall = np.empty((outcomes.classes, slices, thresholds, len(limits)))
    tallies = outcomes.tallies
    accumulate(
        tallies.counted,
        tallies.places,
        tallies.rights,
        tallies.starts,
        outcomes.starts,
        outcomes.ranks,
        weights[outcomes.images].astype(np.int64),
        boxes_to_find(outcomes, weights),
        np.asarray(limits),
        np.asarray(RECALLS),
        precision,
        recall,
    )
    return Curves(precision, recall)


def boxes_to_find(outcomes: Outcomes, weights: IntArray | None = None) -> IntArray:
    """(C, S) how many boxes there are, each as often as its image counts."""
    counts = np.ones(len(outcomes.truth_images)) if weights is None else weights[outcomes.truth_images]
    rows = [np.bincount(outcomes.truth_labels, counts * wanted, outcomes.classes) for wanted in outcomes.wanted]
    return np.array(rows).reshape(len(rows), outcomes.classes).T.astype(np.int64)
