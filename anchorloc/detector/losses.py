"""Predictions and what they should have been, to two numbers."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import generalized_box_iou_loss

from anchorloc.detector.batch import Batch
from anchorloc.detector.coder import DeltaCoder
from anchorloc.detector.model import Predictions


@dataclass(frozen=True)
class FocalLoss:
    """Focal loss (arXiv:1708.02002): cross-entropy that forgets what is easy."""

    alpha: float = 0.25
    gamma: float = 2.0

    def __post_init__(self) -> None:
        if not 0 <= self.alpha <= 1 or self.gamma < 0:
            raise ValueError(f"need 0 <= alpha <= 1 and gamma >= 0, got {self.alpha} and {self.gamma}")

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the elementwise loss of `logits` for `targets`, which are above 0 at the class of a positive."""
        targets = (targets > 0).to(logits.dtype)
        cross_entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
        missing = (targets - logits.sigmoid()).abs()
        return (self.alpha * targets + (1 - self.alpha) * (1 - targets)) * missing**self.gamma * cross_entropy


@dataclass(frozen=True)
class QualityFocalLoss:
    """Quality focal loss (arXiv:2006.04388): the score of a positive learns the IoU of its predicted box."""

    beta: float = 2.0

    def __post_init__(self) -> None:
        if self.beta < 0:
            raise ValueError(f"beta must not be negative, got {self.beta}")

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the elementwise loss of `logits` for `targets`, the IoU at the class of a positive, else 0."""
        cross_entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
        return (targets - logits.sigmoid()).abs() ** self.beta * cross_entropy


@dataclass(frozen=True)
class GIoULoss:
    """1 - GIoU of decoded and true box (arXiv:1902.09630)."""

    def __call__(self, deltas: Tensor, boxes: Tensor, anchors: Tensor, coder: DeltaCoder) -> Tensor:
        """Return the (P,) loss."""
        return generalized_box_iou_loss(coder.decode(deltas, anchors), boxes)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class SmoothL1Loss:
    """Huber loss of the offsets (Fast R-CNN, arXiv:1504.08083), summed over the four."""

    beta: float = 1 / 9

    def __post_init__(self) -> None:
        if self.beta < 0:
            raise ValueError(f"beta must not be negative, got {self.beta}")

    def __call__(self, deltas: Tensor, boxes: Tensor, anchors: Tensor, coder: DeltaCoder) -> Tensor:
        """Return the (P,) loss."""
        return F.smooth_l1_loss(deltas, coder.encode(boxes, anchors), beta=self.beta, reduction="none").sum(dim=1)


@dataclass(frozen=True)
class Criterion:
    """Both losses, each divided by the number of positives (at least 1)."""

    classification: FocalLoss | QualityFocalLoss = QualityFocalLoss()
    box: GIoULoss | SmoothL1Loss = GIoULoss()
    box_weight: float = 2.0

    def __post_init__(self) -> None:
        if self.box_weight < 0:
            raise ValueError(f"box_weight must not be negative, got {self.box_weight}")

    def __call__(
        self, predictions: Predictions, batch: Batch, coder: DeltaCoder, positives: float | None = None
    ) -> dict[str, Tensor]:
        """Return {"classification": (), "box": ()}; with no positive the box loss is exactly 0, with gradients.

        Args:
            positives: what to divide by, where several processes share a batch; else those of `batch`.
        """
        logits, deltas = predictions.logits.flatten(0, 1), predictions.deltas.flatten(0, 1)[batch.positives]
        targets = torch.zeros_like(logits)
        with torch.no_grad():
            targets[batch.positives, batch.labels] = paired_iou(coder.decode(deltas, batch.anchors), batch.boxes)
        classification = self.classification(logits, targets).index_fill(0, batch.ignored, 0.0)
        count = max(1.0, len(batch.positives) if positives is None else positives)
        return {
            "classification": classification.sum() / count,
            "box": self.box_weight * self.box(deltas, batch.boxes, batch.anchors, coder).sum() / count,
        }


def paired_iou(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """Return the (P,) IoU of the rows of two (P, 4) tensors; at least 1e-6, so that a positive stays one."""
    size = (torch.minimum(boxes1[:, 2:], boxes2[:, 2:]) - torch.maximum(boxes1[:, :2], boxes2[:, :2])).clamp(min=0)
    intersection = size.prod(dim=1)
    union = (boxes1[:, 2:] - boxes1[:, :2]).prod(dim=1) + (boxes2[:, 2:] - boxes2[:, :2]).prod(dim=1) - intersection
    return (intersection / union.clamp(min=1e-6)).clamp(min=1e-6)
