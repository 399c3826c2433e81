"""The formulas of the classification losses.

A total is a sum over the B images of a batch. Ignored anchors are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from anchorloc.detector.batch import Batch

PIECE = 1 << 16  # logits
LEAST_MISSING = 1e-12  # between a target and a score


def focal_loss(logits: Tensor, targets: Tensor, alpha: float, gamma: float) -> Tensor:
    """Return the elementwise loss; see `FocalLoss`."""
    targets = (targets > 0).to(logits.dtype)
    cross_entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return (alpha * targets + (1 - alpha) * (1 - targets)) * _missing(logits, targets, gamma) * cross_entropy


def quality_focal_loss(logits: Tensor, targets: Tensor, beta: float) -> Tensor:
    """Return the elementwise loss; see `QualityFocalLoss`."""
    cross_entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return _missing(logits, targets, beta) * cross_entropy


def _missing(logits: Tensor, targets: Tensor, exponent: float) -> Tensor:
    """Return |target - score| ** exponent, also for scores of exactly 0 or 1 with a gradient that is finite."""
    missing = (targets - logits.sigmoid()).abs()
    if exponent < 1:  # its slope at 0 is infinite
        missing = missing.clamp(min=LEAST_MISSING)
    return missing**exponent


def hard_negative_total(logits: Tensor, batch: Batch, negative_to_positive_ratio: float) -> Tensor:
    """Return the sum over the positives and hard negatives among the logits (B, A, 1 + C); see `HardNegativeLoss`."""
    images, anchors, _ = logits.shape
    classes = torch.zeros(images * anchors, dtype=torch.int64, device=logits.device)
    classes[batch.positives] = batch.labels + 1
    losses = F.cross_entropy(logits.flatten(0, 1), classes, reduction="none")
    wrong = losses.detach().clone()
    wrong[batch.positives] = wrong[batch.ignored] = -torch.inf
    owners = batch.positives // anchors  # (P,) the image of each positive
    count = owners.new_zeros(images).index_add_(0, owners, torch.ones_like(owners))  # positives of each image
    order = wrong.view(images, anchors).argsort(dim=1, descending=True)
    rank = torch.arange(anchors, device=logits.device)
    hard = torch.zeros(images, anchors, dtype=torch.bool, device=logits.device)
    hard.scatter_(1, order, rank < (negative_to_positive_ratio * count)[:, None])
    hard_losses = torch.where(hard.flatten() & (wrong != -torch.inf), losses, 0.0)
    return losses[batch.positives].sum() + hard_losses.sum()


def focal_total(
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
