"""The settings of the decoder, and its NMS on arrays; torch is imported on the first call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from anchorloc.boxes import batched_nms, soft_nms
from anchorloc.detector.coder_settings import DeltaCoder
from anchorloc.structures import AnchorGrid, Detections, FloatArray, IntArray, Sample

if TYPE_CHECKING:
    from torch import Tensor

    from anchorloc.detector.decode import Candidates
    from anchorloc.detector.predictions import Predictions


@dataclass(frozen=True)
class Decoder:
    """Drop low scores, keep the top k per level or class, decode them, apply NMS, and keep the best of the image."""

    score_threshold: float = 0.02  # drop anchor-class pairs with a lower score
    topk_candidates: int = 500  # anchor-class pairs kept before NMS, per level or class (topk_per)
    nms_iou: float = 0.6  # NMS drops a box that overlaps a better one by a greater IoU
    max_detections: int = 100  # detections kept per image, after NMS
    topk_per: Literal["level", "class"] = "level"  # topk_candidates counts per level (RetinaNet) or class (SSD)
    class_agnostic_nms: bool = False  # let a box suppress boxes of other classes too
    soft_nms_sigma: float = 0.0  # width of soft-NMS (arXiv:1704.04503), which lowers scores by overlap instead of
    # using nms_iou; 0 disables it

    def __post_init__(self) -> None:
        if self.soft_nms_sigma < 0:
            raise ValueError(f"soft_nms_sigma must not be negative, got {self.soft_nms_sigma}")
        if not (0 <= self.score_threshold <= 1 and 0 <= self.nms_iou <= 1):
            raise ValueError(
                f"score_threshold and nms_iou must be from 0 to 1, got {self.score_threshold} and {self.nms_iou}"
            )
        if self.topk_candidates < 1 or self.max_detections < 1:
            raise ValueError(
                "topk_candidates and max_detections must be at least 1, "
                f"got {self.topk_candidates} and {self.max_detections}"
            )

    def __call__(
        self, predictions: Predictions, grid: AnchorGrid, samples: Sequence[Sample], coder: DeltaCoder
    ) -> list[Detections]:
        """Return the detections of each of the B images, in the pixels of the original."""
        candidates = self.above_threshold(predictions.scores().detach())
        found = self.decode(candidates, predictions.deltas.detach(), grid, samples, coder)
        return [self.select_best(one) for one in found]

    def above_threshold(self, scores: Tensor) -> Candidates:
        """Return the pairs above the threshold among the scores (B, A, C)."""
        from anchorloc.detector.decode import above_threshold

        return above_threshold(scores, self.score_threshold)

    def decode(
        self, candidates: Candidates, deltas: Tensor, grid: AnchorGrid, samples: Sequence[Sample], coder: DeltaCoder
    ) -> list[Detections]:
        """Return the best candidates of each group as boxes, for each of the B images, before suppression.

        The boxes of an image are in any order; `deltas` are (B, A, 4).
        """
        from anchorloc.detector.decode import decode_candidates

        return decode_candidates(self, candidates, deltas, grid, samples, coder)

    def select_best(self, found: Detections) -> Detections:
        """Return the detections of an image that NMS keeps, by descending score; soft-NMS lowers scores."""
        rows, scores = self._soft_nms(found) if self.soft_nms_sigma else (self.nms(found), None)
        found = found.take(rows)
        return found if scores is None else replace(found, scores=scores)

    def nms(self, found: Detections) -> IntArray:
        """Return the rows that hard NMS keeps, by descending score; `soft_nms_sigma` is ignored."""
        return batched_nms(found.boxes, found.scores, self._groups(found), self.nms_iou)[: self.max_detections]

    def _soft_nms(self, found: Detections) -> tuple[IntArray, FloatArray]:
        """Return the rows that soft-NMS keeps, by descending new score, and these scores."""
        groups = self._groups(found)
        rows, scores = [np.zeros(0, np.int64)], [np.zeros(0, found.scores.dtype)]
        for group in np.unique(groups):
            members = np.flatnonzero(groups == group)
            kept, lowered = soft_nms(
                found.boxes[members], found.scores[members], self.soft_nms_sigma, self.score_threshold
            )
            rows.append(members[kept])
            scores.append(lowered)
        all_rows, all_scores = np.concatenate(rows), np.concatenate(scores)
        order = np.lexsort((all_rows, -all_scores))[: self.max_detections]
        return all_rows[order], all_scores[order]

    def _groups(self, found: Detections) -> IntArray:
        """Return group numbers (N,); only boxes of one group suppress each other."""
        return np.zeros_like(found.labels) if self.class_agnostic_nms else found.labels
