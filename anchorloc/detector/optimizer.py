"""AdamW, SGD and Muon, and their parameter groups."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

LAST = ("head.logits", "head.deltas", "head.quality")  # the last layers of a network


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
        return CombinedOptimizer([_adamw(_groups(_trainable(model), self))])


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
        groups = _groups(_trainable(model), self)
        return CombinedOptimizer([torch.optim.SGD(groups, momentum=self.momentum, fused=_can_fuse(groups))])


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
        named = _trainable(model)
        hidden = [(name, weight) for name, weight in named if _is_hidden(name, weight)]
        rest = [(name, weight) for name, weight in named if not _is_hidden(name, weight)]
        if not hidden:
            return CombinedOptimizer([_adamw(_groups(rest, self))])
        kernels = [weight for _, weight in hidden]
        matrices = {id(weight): nn.Parameter(as_matrix(weight.detach())) for weight in kernels}
        groups = [
            {**group, "params": [matrices[id(weight)] for weight in group["params"]]} for group in _groups(hidden, self)
        ]
        muon = torch.optim.Muon(
            groups,
            lr=self.learning_rate,
            momentum=self.momentum,
            ns_steps=self.iterations,
            adjust_lr_fn="match_rms_adamw",
        )
        return CombinedOptimizer(
            [muon, _adamw(_groups(rest, self))], [(weight, matrices[id(weight)]) for weight in kernels]
        )


class CombinedOptimizer:
    """One or more torch optimizers that step together; `views` pairs kernels with matrices that share their memory."""

    def __init__(self, parts: list[torch.optim.Optimizer], views: Iterable[tuple[Tensor, Tensor]] = ()) -> None:
        self.parts, self.views = parts, list(views)
        for part in parts:
            for group in part.param_groups:
                group["full_rate"] = group["lr"]

    def step(self, rate: float) -> None:
        """Take a step at `rate` times the full learning rate, and clear the gradients."""
        for kernel, matrix in self.views:
            matrix.grad = None if kernel.grad is None else as_matrix(kernel.grad)
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = rate * group["full_rate"]
            part.step()
            part.zero_grad()
        for kernel, _ in self.views:
            kernel.grad = None

    def state_dict(self) -> list[dict[str, Any]]:
        """Return the states of the parts."""
        return [part.state_dict() for part in self.parts]

    def load_state_dict(self, states: list[dict[str, Any]]) -> None:
        """Load the states, but keep the settings of this optimizer, such as its full learning rate."""
        state_keys = ("params", "lr")  # `step` sets the latter
        for part, state in zip(self.parts, states, strict=True):
            settings = [{k: value for k, value in group.items() if k not in state_keys} for group in part.param_groups]
            part.load_state_dict(state)
            for group, ours in zip(part.param_groups, settings, strict=True):
                group.update(ours)


def as_matrix(kernel: Tensor) -> Tensor:
    """View an (O, I, H, W) kernel as (O, I*H*W) in the order of its memory, channels last or not."""
    last = kernel.permute(0, 2, 3, 1)
    return last.flatten(1) if last.is_contiguous() else kernel.flatten(1)


def _trainable(model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    return [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]


def _is_hidden(name: str, weight: Tensor) -> bool:
    """Return whether a weight is a kernel that mixes channels, in neither the first layer nor a last one."""
    return weight.ndim == 4 and weight.shape[1] > 3 and not name.startswith(LAST)


def _groups(named: list[tuple[str, nn.Parameter]], settings: AdamW | SGD | Muon) -> list[dict[str, Any]]:
    """Group weights by learning rate and decay."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, weight in named:
        rate = settings.learning_rate * (settings.backbone_lr_multiplier if name.startswith("backbone.") else 1.0)
        decay = settings.weight_decay if weight.ndim > 1 else 0.0
        groups.setdefault((rate, decay), []).append(weight)
    return [{"params": weights, "lr": rate, "weight_decay": decay} for (rate, decay), weights in groups.items()]


def _adamw(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    return torch.optim.AdamW(groups, fused=_can_fuse(groups))


def _can_fuse(groups: list[dict[str, Any]]) -> bool:
    return groups[0]["params"][0].device.type in ("cpu", "cuda")


def _check(settings: AdamW | SGD | Muon) -> None:
    if not settings.learning_rate > 0:
        raise ValueError(f"learning_rate must be above 0, got {settings.learning_rate}")
    if settings.weight_decay < 0 or settings.backbone_lr_multiplier < 0:
        raise ValueError(
            f"weight_decay and backbone_lr_multiplier must not be negative, got {settings.weight_decay} "
            f"and {settings.backbone_lr_multiplier}"
        )
