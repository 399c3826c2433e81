"""Classification losses.

Each loss returns a sum over the B images of a batch. Ignored anchors are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from anchorloc.detector.batch import Batch

PIECE = 1 << 16  # logits


@dataclass(frozen=True)
class FocalLoss:
    """Focal loss (arXiv:1708.02002): cross-entropy with less weight on easy anchors."""

    alpha: float = 0.25  # weight of positives, against 1 - alpha of the background
    gamma: float = 2.0  # exponent that lowers the weight of easy anchors
    background_class: ClassVar[bool] = False

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
        """Return the sum over the logits (B, A, C); `quality` (P,) is unused."""
        return _total(self, logits, batch, torch.ones_like(quality), self.gamma, 1 - self.alpha)


@dataclass(frozen=True)
class QualityFocalLoss:
    """Quality focal loss (arXiv:2006.04388): the score of a positive learns the IoU of its predicted box."""

    beta: float = 2.0  # exponent that lowers the weight of anchors whose score is near its target
    background_class: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.beta < 0:
            raise ValueError(f"beta must not be negative, got {self.beta}")

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the elementwise loss of `logits` for `targets`, the IoU at the class of a positive, else 0."""
        cross_entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
        return (targets - logits.sigmoid()).abs() ** self.beta * cross_entropy

    def total(self, logits: Tensor, batch: Batch, quality: Tensor) -> Tensor:
        """Return the sum over the logits (B, A, C); `quality` (P,) is the target score of each positive."""
        return _total(self, logits, batch, quality, self.beta)


@dataclass(frozen=True)
class HardNegativeLoss:
    """Cross-entropy over classes and background on the positives and the hardest negatives of each image.

    There are `negative_to_positive_ratio` negatives per positive (SSD, arXiv:1512.02325, section 2.2). An image without
    a positive has no loss.
    """

    negative_to_positive_ratio: float = 3.0  # hard negatives per positive of an image
    background_class: ClassVar[bool] = True  # needs a head with a logit of the background

    def __post_init__(self) -> None:
        if self.negative_to_positive_ratio < 0:
            raise ValueError(f"negative_to_positive_ratio must not be negative, got {self.negative_to_positive_ratio}")

    def total(self, logits: Tensor, batch: Batch, quality: Tensor) -> Tensor:
        """Return the sum over the positives and hard negatives among the logits (B, A, 1 + C); `quality` is unused."""
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
        hard.scatter_(1, order, rank < (self.negative_to_positive_ratio * count)[:, None])
        return losses[batch.positives].sum() + losses[hard.flatten() & wrong.isfinite()].sum()


def _total(
    loss: Callable[[Tensor, Tensor], Tensor],
    logits: Tensor,
    batch: Batch,
    values: Tensor,
    exponent: float,
    weight: float = 1.0,
) -> Tensor:
    """Return the sum of a focal `loss` over the logits (B, A, C).

    The target of a positive is its `values` (P,) at its class. Every other logit, except on ignored anchors, has
    target 0 and the loss weight * p**exponent * -log(1 - p), where p is the sigmoid.
    """
    rows = logits.flatten(0, 1)
    background: Tensor = _Background.apply(rows, exponent, batch.positives, batch.labels, batch.ignored)
    return weight * background + loss(rows[batch.positives, batch.labels], values).sum()


class _Background(torch.autograd.Function):
    """Value and gradient of the background loss in one pass over the logits, on a CPU in pieces that fit its cache.

    It takes a fifth of the time of an elementwise loss under autograd, which keeps several tensors of that size.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, exponent: float, positives: Tensor, labels: Tensor, ignored: Tensor) -> Tensor:
        losses, gradient = (torch.empty(rows.shape, dtype=rows.dtype, device=rows.device) for _ in range(2))
        size = PIECE if rows.device.type == "cpu" else max(1, rows.numel())
        pieces = (torch.split(values.reshape(-1), size) for values in (rows, losses, gradient))
        for logits, loss, slope in zip(*pieces, strict=True):
            score, entropy = logits.sigmoid(), F.softplus(logits)
            power = score**exponent
            torch.mul(power, entropy, out=loss)
            torch.addcmul(score, 1 - score, entropy, value=exponent, out=slope).mul_(power)
        for values in (losses, gradient):
            values[ignored] = 0
            values[positives, labels] = 0
        ctx.save_for_backward(gradient)
        return losses.sum()

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * upstream, None, None, None, None
