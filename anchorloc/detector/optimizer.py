"""AdamW, SGD and Muon on the weights of a network, and their parameter groups."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from anchorloc.detector.muon import Float32Muon
from anchorloc.detector.optimizer_settings import SGD, AdamW, Muon

LAST = ("head.logits", "head.deltas", "head.quality")  # the last layers of a network


def adamw(settings: AdamW, model: nn.Module) -> CombinedOptimizer:
    """Return AdamW for the trainable weights of `model`."""
    return CombinedOptimizer([_torch_adamw(_groups(_trainable(model), settings))])


def sgd(settings: SGD, model: nn.Module) -> CombinedOptimizer:
    """Return SGD for the trainable weights of `model`."""
    groups = _groups(_trainable(model), settings)
    return CombinedOptimizer([torch.optim.SGD(groups, momentum=settings.momentum, fused=_can_fuse(groups))])


def muon(settings: Muon, model: nn.Module) -> CombinedOptimizer:
    """Return Muon and AdamW for the trainable weights of `model`, whose memory format must be final."""
    named = _trainable(model)
    hidden = [(name, weight) for name, weight in named if _is_hidden(name, weight)]
    rest = [(name, weight) for name, weight in named if not _is_hidden(name, weight)]
    if not hidden:
        return CombinedOptimizer([_torch_adamw(_groups(rest, settings))])
    kernels = [weight for _, weight in hidden]
    matrices = {id(weight): nn.Parameter(as_matrix(weight.detach())) for weight in kernels}
    groups = [
        {**group, "params": [matrices[id(weight)] for weight in group["params"]]} for group in _groups(hidden, settings)
    ]
    first = Float32Muon(groups, lr=settings.learning_rate, momentum=settings.momentum, ns_steps=settings.iterations)
    views = [(weight, matrices[id(weight)]) for weight in kernels]
    return CombinedOptimizer([first, _torch_adamw(_groups(rest, settings))], views)


class CombinedOptimizer:
    """One or more torch optimizers that step together; `views` pairs kernels with matrices that share their memory."""

    def __init__(self, parts: list[torch.optim.Optimizer], views: Iterable[tuple[Tensor, Tensor]] = ()) -> None:
        self.parts, self.views = parts, list(views)
        for part in parts:
            for group in part.param_groups:
                group["full_rate"] = group["lr"]

    def step(self, rate: float, skip: Tensor | None = None) -> None:
        """Take a step at `rate` times the full learning rate, and clear the gradients.

        Args:
            skip: () float32 on the device of the weights; if it is 1, the weights do not change, nor does the host wait
                to know it. It needs a CPU or a CUDA device.
        """
        for kernel, matrix in self.views:
            matrix.grad = None if kernel.grad is None else as_matrix(kernel.grad)
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = rate * group["full_rate"]
            part.found_inf = skip  # type: ignore[attr-defined]  # the name of torch's fused optimizers for it
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


def _torch_adamw(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    return torch.optim.AdamW(groups, fused=_can_fuse(groups))


def _can_fuse(groups: list[dict[str, Any]]) -> bool:
    return groups[0]["params"][0].device.type in ("cpu", "cuda")
