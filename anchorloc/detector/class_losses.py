"""What the class logits of all anchors should have been, to a number that can be lowered.

Each loss gives a total over the B images of a batch. Ignored anchors are in none of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from anchorloc.detector.batch import Batch


@dataclass(frozen=True)
class FocalLoss:
    """Focal loss (arXiv:1708.02002): cross-entropy that forgets what is easy."""

    alpha: float = 0.25
    gamma: float = 2.0
    background: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 0 <= self.alpha <= 1 or self.gamma < 0:
            raise ValueError(f"need 0 <= alpha <= 1 and gamma >= 0, got {self.alpha} and {self.gamma}")

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the elementwise loss of `logits` for `targets`, which are above 0 at the class of a positive."""
        targets = (targets > 0).to(logits.dtype)
        cross_entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
        missing = (targets - logits.sigmoid()).abs()
        return (self.alpha * targets + (1 - self.alpha) * (1 - targets)) * missing**self.gamma * cross_entropy

    def total(self, logits: Tensor, batch: Batch, quality: Tensor) -> Tensor:
        """Return the sum over the logits (B, A, C); `quality` (P,) of the positives does not matter."""
        targets = _dense(logits, batch, torch.ones_like(quality))
        return self(logits.flatten(0, 1), targets).index_fill(0, batch.ignored, 0.0).sum()


@dataclass(frozen=True)
class QualityFocalLoss:
    """Quality focal loss (arXiv:2006.04388): the score of a positive learns the IoU of its predicted box."""

    beta: float = 2.0
    background: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.beta < 0:
            raise ValueError(f"beta must not be negative, got {self.beta}")

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the elementwise loss of `logits` for `targets`, the IoU at the class of a positive, else 0."""
        cross_entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
        return (targets - logits.sigmoid()).abs() ** self.beta * cross_entropy

    def total(self, logits: Tensor, batch: Batch, quality: Tensor) -> Tensor:
        """Return the sum over the logits (B, A, C), the positives of which learn their `quality` (P,)."""
        targets = _dense(logits, batch, quality)
        return self(logits.flatten(0, 1), targets).index_fill(0, batch.ignored, 0.0).sum()


@dataclass(frozen=True)
class HardNegativeLoss:
    """Cross-entropy over classes and background, of the positives and of those negatives of each image that are most
    wrong, so many for one positive (SSD, arXiv:1512.02325, section 2.2). An image without a positive has none.
    """

    negatives: float = 3.0  # for one positive
    background: ClassVar[bool] = True  # it needs a head with a logit of nothing

    def __post_init__(self) -> None:
        if self.negatives < 0:
            raise ValueError(f"negatives must not be negative, got {self.negatives}")

    def total(self, logits: Tensor, batch: Batch, quality: Tensor) -> Tensor:
        """Return the sum over what is chosen among the logits (B, A, 1 + C); `quality` does not matter."""
        images, anchors, _ = logits.shape
        classes = torch.zeros(images * anchors, dtype=torch.int64, device=logits.device)
        classes[batch.positives] = batch.labels + 1
        losses = F.cross_entropy(logits.flatten(0, 1), classes, reduction="none")
        wrong = losses.detach().clone()
        wrong[batch.positives] = wrong[batch.ignored] = -torch.inf
        count = torch.bincount(batch.positives // anchors, minlength=images)  # positives of each image
        order = wrong.view(images, anchors).argsort(dim=1, descending=True)
        rank = torch.arange(anchors, device=logits.device)
        hard = torch.zeros(images, anchors, dtype=torch.bool, device=logits.device)
        hard.scatter_(1, order, rank < (self.negatives * count)[:, None])
        return losses[batch.positives].sum() + losses[hard.flatten() & wrong.isfinite()].sum()


def _dense(logits: Tensor, batch: Batch, values: Tensor) -> Tensor:
    """Return the (B*A, C) targets: `values` (P,) at the classes of the positives, 0 elsewhere."""
    targets = torch.zeros_like(logits.flatten(0, 1))
    targets[batch.positives, batch.labels] = values
    return targets
