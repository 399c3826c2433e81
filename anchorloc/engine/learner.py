"""The update of the weights: forward, losses, backward over the parts of a batch, clipping, step, average."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from anchorloc.config import Config
from anchorloc.detector import Batch
from anchorloc.engine.build import build_detector, pick_device, to_device
from anchorloc.engine.inference import aligned, autocast, losses_of
from anchorloc.engine.state.pretrained import load_pretrained
from anchorloc.engine.system.processes import Processes, without_gradient_sync
from anchorloc.structures import Category

M = TypeVar("M", bound=nn.Module)


class NotFiniteError(Exception):
    """A number that must not get into the weights is none, in some process; they are as they were."""

    def __init__(self, what: str, value: float) -> None:
        super().__init__(what, value)
        self.what, self.value = what, value


class Learner:
    """The network, its averaged weights, and the optimizer that changes both.

    A batch may come in parts, one after the other and over several processes. Losses are sums until the end of a
    batch: then the gradients are divided by what all its parts weigh (`Batch.weight`), and clipped by the same
    multiplication. So every way to part a batch gives the same update, but for rounding and batch normalization. What a
    batch in one part weighs is known at once: its losses are divided before, which spares a pass over the gradients
    unless they need clipping.
    """

    def __init__(
        self, config: Config, categories: Sequence[Category], processes: Processes, *, pretrained: bool = True
    ) -> None:
        """`pretrained=False` spares the download of weights that `restore` replaces."""
        self.config, self.processes = config, processes
        torch.manual_seed(config.train.seed)
        if config.train.threads:
            torch.set_num_threads(config.train.threads)
        self.device = pick_device(config.train.device)
        network = build_detector(config, len(categories), pretrained=pretrained)
        taken_over = pretrained and config.detector.weights
        self.left_out = load_pretrained(network, config, categories) if taken_over else []
        self.model = to_device(network, self.device)
        self.average = AveragedModel(self.model, config.train.ema)
        self.optimizer = config.train.optimizer(self.model)
        self._weights = [weight for weight in self.model.parameters() if weight.requires_grad]
        self._network: nn.Module | None = None

    def update(self, batch: Sequence[Batch], rate: float) -> dict[str, float]:
        """Update the weights once by the parts of a `batch`, at `rate` times the full learning rate.

        Returns:
            The losses of the whole batch, of all processes, as `loss` and each part.

        Raises:
            NotFiniteError: a loss or a gradient is not a number; the weights are as they were, and where such updates
                are skipped, statistics of batch normalization too.
        """
        buffers = list(self.model.buffers()) if self.config.train.skip_nonfinite else []
        before = [buffer.clone() for buffer in buffers]
        sums: dict[str, float] = {}
        whole = self.processes.count == len(batch) == 1
        for place, part in enumerate(batch):
            for name, value in self._add_gradients(part, whole, last=place == len(batch) - 1).items():
                sums[name] = sums.get(name, 0.0) + value
        gradients = [weight.grad for weight in self._weights if weight.grad is not None]
        norm = nn.utils.get_total_norm(gradients).item()
        weight, *losses = self.processes.all_reduce_sum(list(sums.values()))
        weight = 1.0 if whole else max(1.0, weight)
        scale = self.processes.count / weight  # the mean over processes is what DistributedDataParallel leaves
        values = {name: loss / weight for name, loss in zip(list(sums)[1:], losses, strict=True)}
        values = {"loss": sum(values.values()), **values}
        for what, value in (("the loss", values["loss"]), ("the norm of the gradients", scale * norm)):
            if not math.isfinite(value):
                self.model.zero_grad()
                for buffer, then in zip(buffers, before, strict=True):
                    buffer.copy_(then)
                raise NotFiniteError(what, value)
        factor = scale * min(1.0, self.config.train.clip_norm / (scale * norm + 1e-6))
        if factor != 1:
            torch._foreach_mul_(gradients, factor)
        self.optimizer.step(rate)
        self.average.update()
        return values

    def _add_gradients(self, batch: Batch, whole: bool, last: bool) -> dict[str, float]:
        """Add the gradients of the losses of a part; return what it weighs, and those losses.

        They are sums, or, where it is the `whole` batch, divided by what that weighs.
        Processes exchange gradients in the `last` part alone.
        """
        if self._network is None:
            if self.config.train.compile:
                self.model.compile()
            self._network = self.processes.wrap(self.model)
        self._network.train()
        batch = batch.to(self.device)
        with nullcontext() if last else without_gradient_sync(self._network):
            with autocast(self.config, self.device):
                predictions = self._network(batch.images)
            batch = aligned(self.config, predictions, batch)
            losses = losses_of(self.config, predictions, batch, max(1.0, batch.weight) if whole else 1.0)
            total = torch.stack(list(losses.values()))
            total.sum().backward()  # type: ignore[no-untyped-call]
        names = [f"{name}_loss" for name in losses]
        return {"weight": batch.weight, **dict(zip(names, total.tolist(), strict=True))}

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs, but for the averaged weights."""
        return {
            "model": self.model.state_dict(),
            "average_updates": self.average.updates,
            "optimizer": self.optimizer.state_dict(),
        }

    def restore(self, state: dict[str, Any], averaged: dict[str, torch.Tensor]) -> None:
        """Take up what `state` gave, with the averaged weights."""
        self.model.load_state_dict(state["model"])
        self.average.module.load_state_dict(averaged)
        self.average.updates = state["average_updates"]
        self.optimizer.load_state_dict(state["optimizer"])


class AveragedModel(Generic[M]):
    """An exponential moving average (EMA) of the weights of `model`.

    The decay grows as (1 + n) / (10 + n) to its limit, so that the first, random weights are soon forgotten
    (tf.train.ExponentialMovingAverage). Tensors that hold no floats, such as counters, are copied.
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
        """Move the average towards the model by one step."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(self._shadow, self._source, 1 - decay)
        for shadow, source in self._pairs:
            if not shadow.is_floating_point():
                shadow.copy_(source)


def _tensors(model: nn.Module) -> list[Tensor]:
    return [*model.parameters(), *model.buffers()]
