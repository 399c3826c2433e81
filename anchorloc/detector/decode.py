"""Turn predictions into detections in original pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from anchorloc.boxes import batched_nms, soft_nms
from anchorloc.detector.coder import DeltaCoder
from anchorloc.detector.predictions import Predictions
from anchorloc.errors import InputError
from anchorloc.structures import AnchorGrid, Detections, FloatArray, IntArray, Sample


class Candidates(NamedTuple):
    """The N pairs of anchor and class of an image that may become detections, by ascending anchor."""

    anchors: Tensor  # (N,)
    labels: Tensor  # (N,)
    scores: Tensor  # (N,)


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
        scores = predictions.scores().detach()
        return [
            self.decode_and_nms(self.above_threshold(score), deltas, grid, sample, coder)
            for score, deltas, sample in zip(scores, predictions.deltas.detach(), samples, strict=True)
        ]

    def above_threshold(self, scores: Tensor) -> Candidates:
        """Return the pairs above the threshold among the scores (A, C) of an image."""
        flat, classes = scores.flatten(), scores.shape[1]
        pairs = torch.nonzero(flat > self.score_threshold).squeeze(1)
        return Candidates(pairs // classes, pairs % classes, flat[pairs])

    def decode_and_nms(
        self, candidates: Candidates, deltas: Tensor, grid: AnchorGrid, sample: Sample, coder: DeltaCoder
    ) -> Detections:
        """Decode and suppress the candidates of an image; `deltas` are (A, 4)."""
        return self.select_best(self.decode(candidates, deltas, grid, sample, coder))

    def decode(
        self, candidates: Candidates, deltas: Tensor, grid: AnchorGrid, sample: Sample, coder: DeltaCoder
    ) -> Detections:
        """Return the best candidates of each group as boxes, in any order and before suppression.

        Candidates take no part if their anchor's cell center is outside the image, or their box, clipped to the image,
        has no area.
        """
        grid = grid.within(sample.extent)
        if grid.whole is not None:
            inside = torch.from_numpy(grid.taking_part).to(candidates.anchors.device)[candidates.anchors]
            candidates = Candidates(*(values[inside] for values in candidates))
        best = self._best_per_class(candidates) if self.topk_per == "class" else self._best_per_level(candidates, grid)
        anchors = torch.from_numpy(grid.boxes).to(deltas.device)[best.anchors]
        boxes = to_original(coder.decode(deltas[best.anchors], anchors).cpu().numpy(), sample)
        if not np.isfinite(boxes).all():
            raise InputError(
                f"the network predicts NaN or infinite boxes for image {sample.image_id!r}; use another checkpoint"
            )
        index, labels, scores = (values.cpu().numpy() for values in best)
        return with_area(Detections(boxes, scores, labels, index, sample.image_id))

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

    def _best_per_level(self, candidates: Candidates, grid: AnchorGrid) -> Candidates:
        """Return at most `self.topk_candidates` of each level, by greatest score."""
        ends = torch.tensor([len(level) for level in grid.levels], device=candidates.anchors.device).cumsum(0)
        chosen, start = [], 0
        for end in torch.searchsorted(candidates.anchors, ends).tolist():
            best = candidates.scores[start:end]
            rows = (
                best.topk(self.topk_candidates).indices if len(best) > self.topk_candidates else torch.arange(len(best))
            )
            chosen.append(start + rows.to(best.device))
            start = end
        rows = torch.cat(chosen)
        return Candidates(*(values[rows] for values in candidates))

    def _best_per_class(self, candidates: Candidates) -> Candidates:
        """Return at most `self.topk_candidates` of each class, by greatest score."""
        order = candidates.scores.argsort(descending=True, stable=True)
        order = order[candidates.labels[order].argsort(stable=True)]  # by class, by descending score in each
        labels = candidates.labels[order]
        first = torch.searchsorted(labels, labels)  # where the class begins
        rows = order[torch.arange(len(order), device=order.device) - first < self.topk_candidates]
        return Candidates(*(values[rows] for values in candidates))


def with_area(found: Detections) -> Detections:
    """Return the detections whose boxes have an area."""
    return found.take(np.flatnonzero((found.boxes[:, 2:] > found.boxes[:, :2]).all(axis=1)))


def to_original(boxes: np.ndarray, sample: Sample) -> np.ndarray:
    """Return network boxes (N, 4) in the pixels of the original image, clipped to it."""
    vertical, horizontal = sample.scale
    height, width = sample.size
    scaled = boxes.astype(np.float64) / (horizontal, vertical, horizontal, vertical)
    return scaled.clip(0, (width, height, width, height))
