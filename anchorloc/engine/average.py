"""An exponential moving average of a model's weights."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

M = TypeVar("M", bound=nn.Module)


class AveragedModel(Generic[M]):
    """A shadow of `model` whose floating-point tensors follow it slowly.

    The decay grows as (1 + n) / (10 + n) to its limit, so that the first, random weights are soon forgotten
    (tf.train.ExponentialMovingAverage). Other tensors, such as counters, are copied.
    """

    def __init__(self, model: M, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.module: M = copy.deepcopy(model).eval().requires_grad_(False)
        self._pairs = list(zip(_tensors(self.module), _tensors(model), strict=True))
        self._shadow = [shadow for shadow, _ in self._pairs if shadow.is_floating_point()]
        self._source = [source.detach() for shadow, source in self._pairs if shadow.is_floating_point()]

    @torch.no_grad()
    def update(self) -> None:
        """Move towards the model by one step."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(self._shadow, self._source, 1 - decay)
        for shadow, source in self._pairs:
            if not shadow.is_floating_point():
                shadow.copy_(source)


def _tensors(model: nn.Module) -> list[Tensor]:
    return [*model.parameters(), *model.buffers()]
