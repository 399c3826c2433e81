"""Predictions back to boxes in original pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from anchorloc.boxes import batched_nms
from anchorloc.detector.coder import DeltaCoder
from anchorloc.detector.model import Predictions
from anchorloc.errors import InputError
from anchorloc.structures import AnchorGrid, Detections, Sample


@dataclass(frozen=True)
class Decoder:
    """Threshold, keep the best of each level, decode those alone, suppress per class, keep the best of the image."""

    score_threshold: float = 0.02
    candidates: int = 500  # (anchor, class) pairs kept per level
    nms_iou: float = 0.6
    max_detections: int = 100

    def __post_init__(self) -> None:
        if not (0 <= self.score_threshold <= 1 and 0 <= self.nms_iou <= 1):
            raise ValueError(
                f"score_threshold and nms_iou must be from 0 to 1, got {self.score_threshold} and {self.nms_iou}"
            )
        if self.candidates < 1 or self.max_detections < 1:
            raise ValueError(
                f"candidates and max_detections must be at least 1, got {self.candidates} and {self.max_detections}"
            )

    def __call__(
        self, predictions: Predictions, grid: AnchorGrid, samples: Sequence[Sample], coder: DeltaCoder
    ) -> list[Detections]:
        """Return the detections of each of the B images, in the pixels of the original."""
        scores = predictions.logits.detach().sigmoid()
        return [
            self._one(score, deltas, grid, sample, coder)
            for score, deltas, sample in zip(scores, predictions.deltas.detach(), samples, strict=True)
        ]

    def _one(self, scores: Tensor, deltas: Tensor, grid: AnchorGrid, sample: Sample, coder: DeltaCoder) -> Detections:
        """Decode one image: scores (A, C), deltas (A, 4)."""
        anchors, labels = self._best_per_level(scores, grid)
        boxes = coder.decode(deltas[anchors], torch.from_numpy(grid.boxes).to(deltas.device)[anchors])
        found = scores[anchors, labels].cpu().numpy()
        original = to_original(boxes.cpu().numpy(), sample)
        index, classes = anchors.cpu().numpy(), labels.cpu().numpy()
        if not np.isfinite(original).all():
            raise InputError(
                f"the network gives boxes that are no numbers for image {sample.image_id!r}; use another checkpoint"
            )
        keep = batched_nms(original, found, classes, self.nms_iou)[: self.max_detections]
        return Detections(original[keep], found[keep], classes[keep], index[keep], sample.image_id)

    def _best_per_level(self, scores: Tensor, grid: AnchorGrid) -> tuple[Tensor, Tensor]:
        """Return anchor and class of the best pairs above the threshold, at most `candidates` a level."""
        anchors, labels, start = [], [], 0
        for level in grid.levels:
            flat = scores[start : start + len(level)].flatten()
            pairs = torch.nonzero(flat > self.score_threshold).squeeze(1)
            if len(pairs) > self.candidates:
                pairs = pairs[flat[pairs].topk(self.candidates).indices]
            anchors.append(start + pairs // scores.shape[1])
            labels.append(pairs % scores.shape[1])
            start += len(level)
        return torch.cat(anchors), torch.cat(labels)


def to_original(boxes: np.ndarray, sample: Sample) -> np.ndarray:
    """Return network boxes (N, 4) in the pixels of the original image, clipped to it."""
    vertical, horizontal = sample.scale
    height, width = sample.size
    scaled = boxes.astype(np.float64) / (horizontal, vertical, horizontal, vertical)
    return scaled.clip(0, (width, height, width, height))
