"""One result file: its detections matched with the annotations, and its scores for any weights of the images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from anchorloc.data import Annotations, read_results
from anchorloc.data.result_warnings import result_warnings
from anchorloc.metrics import IGNORED, TRUE_POSITIVE, MatchResult, match_targets
from anchorloc.metrics.resampling import class_ap, coco_numbers
from anchorloc.metrics.weighted_ap import scores_of_sets
from anchorloc.structures import BoolArray, Detections, Float64Array, IntArray
from anchorloc.text import shorten


@dataclass(frozen=True, eq=False)
class ScoredFile:
    """The detections of one result file, matched once for all scores."""

    path: Path
    detections: Sequence[Detections]  # for each image of the annotations
    match_result: MatchResult  # with the slices of `coco_slices`
    scores: Float64Array  # (D,) of the detections of `match_result`
    warnings: tuple[str, ...]

    @cached_property
    def hits(self) -> BoolArray:
        """Return the true positives at IoU 0.5 (D,)."""
        return np.asarray(self.match_result.states[0, 0] == TRUE_POSITIVE)

    @cached_property
    def counted(self) -> BoolArray:
        """Return the true and false positives at IoU 0.5 (D,), without detections that are ignored."""
        return np.asarray(self.match_result.states[0, 0] != IGNORED)

    @cached_property
    def threshold(self) -> float:
        """Return the score threshold of best F1 at IoU 0.5; infinite without a true positive."""
        f1 = self._f1(np.ones(self.match_result.image_count, np.int64))
        return float(self._ranking.thresholds[np.argmax(f1)]) if self.hits.any() else float("inf")

    def values(self, sets: Sequence[IntArray], limits: Sequence[int], score: float | None) -> list[Float64Array]:
        """Return every score (M,) for each set of weights (N,) of the images, NaN where there is no box to find.

        They are COCO's numbers as in `coco_numbers`, F1 at the best threshold, F1 at the threshold `score` if that is
        given, and AP of each class.
        """
        found = []
        for weights, scores in zip(sets, scores_of_sets(self.match_result, sets, limits), strict=True):
            f1 = self._f1(weights)
            at = [] if score is None else [float(f1[(self._ranking.thresholds >= score).sum() - 1])]
            numbers = [*coco_numbers(scores, limits).values(), float(f1.max()), *at, *class_ap(scores).tolist()]
            found.append(np.array(numbers))
        return found

    def _f1(self, weights: IntArray) -> Float64Array:
        """Return F1 of all classes together at each threshold, and 0 for no detection at the end (P + 1,)."""
        ranking = self._ranking
        counts = weights[ranking.images]
        right = np.cumsum(counts * ranking.hits)[ranking.ends]
        kept = np.cumsum(counts)[ranking.ends]
        boxes = int(weights[self.match_result.truth_images] @ self.match_result.countable_boxes[0])
        return np.append(2 * right / (kept + boxes), 0.0) if boxes else np.full(len(right) + 1, np.nan)

    @cached_property
    def _ranking(self) -> _Ranking:
        order = np.argsort(-self.scores, kind="stable")
        order = order[self.counted[order]]
        ranked = self.scores[order]
        ends = np.flatnonzero(np.diff(ranked, append=-np.inf))  # equal scores are kept or dropped together
        return _Ranking(self.match_result.images[order], self.hits[order], ranked[ends], ends)


@dataclass(frozen=True, eq=False)
class _Ranking:
    """The counted detections by descending score, and the P distinct thresholds."""

    images: IntArray  # (D,)
    hits: BoolArray  # (D,)
    thresholds: Float64Array  # (P,)
    ends: IntArray  # (P,) last detection that each threshold keeps


def score_file(path: Path, truth: Annotations, limit: int) -> ScoredFile:
    """Read a result file and match its detections, at most `limit` of a class in an image.

    Raises:
        InputError: the file is no result file, or does not belong to the annotations.
    """
    notes: list[str] = []
    found = read_results(path, truth, notes)
    targets = [truth.target(index) for index in range(len(truth))]
    match_result = match_targets(targets, found, truth.categories, limit)
    if not any(map(len, found)):
        notes.append("there are no detections, so every score is 0")
    warnings = (*notes, *result_warnings(found, truth))
    scores = np.concatenate([np.zeros(0), *(one.scores for one in found)])[match_result.rows]
    return ScoredFile(path, found, match_result, scores, tuple(f"{shorten(path.name)}: {one}" for one in warnings))
