"""The optimizers to choose from; torch is imported on the first call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

    from anchorloc.detector.optimizer import CombinedOptimizer


@dataclass(frozen=True)
class AdamW:
    """AdamW (arXiv:1711.05101); norms and biases do not decay."""

    learning_rate: float = 1e-3  # peak rate: after warm-up, before it falls to 0 along half a cosine
    weight_decay: float = 0.02  # weight decay; norms and biases have none
    backbone_lr_multiplier: float = 1.0  # learning rate of the backbone, as a multiple of learning_rate

    def __post_init__(self) -> None:
        _check(self)

    def __call__(self, model: nn.Module) -> CombinedOptimizer:
        """Return the optimizer of the trainable weights of `model`."""
        from anchorloc.detector.optimizer import adamw

        return adamw(self, model)


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent with momentum; norms and biases do not decay."""

    learning_rate: float = 0.01  # peak rate: after warm-up, before it falls to 0 along half a cosine
    weight_decay: float = 1e-4  # weight decay; norms and biases have none
    backbone_lr_multiplier: float = 1.0  # learning rate of the backbone, as a multiple of learning_rate
    momentum: float = 0.9  # momentum of the gradients

    def __post_init__(self) -> None:
        _check(self)
        if not 0 <= self.momentum < 1:
            raise ValueError(f"need 0 <= momentum < 1, got {self.momentum}")

    def __call__(self, model: nn.Module) -> CombinedOptimizer:
        """Return the optimizer of the trainable weights of `model`."""
        from anchorloc.detector.optimizer import sgd

        return sgd(self, model)


@dataclass(frozen=True)
class Muon:
    """Muon (Jordan et al., 2024): the momentum of each hidden kernel, made orthogonal, so that all directions of a
    layer learn equally fast. Its steps have the size of AdamW's (arXiv:2502.16982), which takes the other weights:
    input and output layers, depthwise kernels, norms and biases.
    """

    learning_rate: float = 5e-3  # peak rate: after warm-up, before it falls to 0 along half a cosine
    weight_decay: float = 0.02  # weight decay; norms and biases have none
    backbone_lr_multiplier: float = 1.0  # learning rate of the backbone, as a multiple of learning_rate
    momentum: float = 0.95  # momentum of the gradients
    iterations: int = 3  # Newton-Schulz iterations per step

    def __post_init__(self) -> None:
        _check(self)
        if not 0 <= self.momentum < 1 or not 1 <= self.iterations < 100:
            raise ValueError(
                f"need 0 <= momentum < 1 and 1 <= iterations < 100, got {self.momentum} and {self.iterations}"
            )

    def __call__(self, model: nn.Module) -> CombinedOptimizer:
        """Return the optimizer of the trainable weights of `model`, whose memory format must be final."""
        from anchorloc.detector.optimizer import muon

        return muon(self, model)


def _check(settings: AdamW | SGD | Muon) -> None:
    if not settings.learning_rate > 0:
        raise ValueError(f"learning_rate must be above 0, got {settings.learning_rate}")
    if settings.weight_decay < 0 or settings.backbone_lr_multiplier < 0:
        raise ValueError(
            f"weight_decay and backbone_lr_multiplier must not be negative, got {settings.weight_decay} "
            f"and {settings.backbone_lr_multiplier}"
        )
