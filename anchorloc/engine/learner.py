"""Update the weights: forward and backward over micro-batches, clipping, optimizer step, EMA."""

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
from anchorloc.engine.inference import autocast
from anchorloc.engine.state.pretrained import load_pretrained
from anchorloc.engine.system.processes import Processes, without_gradient_sync
from anchorloc.structures import Category

M = TypeVar("M", bound=nn.Module)


class NotFiniteError(Exception):
    """A loss or gradient is NaN or infinite in some process; the weights were not updated."""

    def __init__(self, what: str, value: float) -> None:
        super().__init__(what, value)
        self.what, self.value = what, value


class Learner:
    """The network, the average (EMA) of its weights, and the optimizer.

    A batch may be split into micro-batches and over processes. Losses are summed over the whole batch; then the
    gradients are divided by the weight of the whole batch (`Batch.weight`) and clipped, in one multiplication. So every
    split of a batch gives the same update, except for rounding and batch normalization. The weight of an unsplit batch
    is known before: its losses are divided instead, which saves a pass over the gradients unless they need clipping.
    """

    def __init__(
        self, config: Config, categories: Sequence[Category], processes: Processes, *, pretrained: bool = True
    ) -> None:
        """Build the network; `pretrained=False` skips the download of weights that `restore` replaces."""
        self.config, self.processes = config, processes
        torch.manual_seed(config.train.seed)
        if config.train.threads:
            torch.set_num_threads(config.train.threads)
        self.device = pick_device(config.train.device)
        network = build_detector(config, len(categories), pretrained=pretrained)
        use_weights = pretrained and config.detector.weights
        self.not_loaded = load_pretrained(network, config, categories) if use_weights else []
        self.model = to_device(network, self.device)
        self.average = AveragedModel(self.model, config.train.ema)
        self.optimizer = config.train.optimizer(self.model)
        self._weights = [weight for weight in self.model.parameters() if weight.requires_grad]
        self._network: nn.Module | None = None

    def update(self, micro_batches: Sequence[Batch], lr_factor: float) -> dict[str, float]:
        """Update the weights once, at `lr_factor` times the learning rate.

        Returns:
            The losses of the whole batch over all processes: `loss` and its terms.

        Raises:
            NotFiniteError: a loss or a gradient is NaN or infinite; the weights were not updated. With
                `train.skip_nonfinite`, the statistics of batch normalization were not updated either.
        """
        buffers = list(self.model.buffers()) if self.config.train.skip_nonfinite else []
        before = [buffer.clone() for buffer in buffers]
        whole = self.processes.count == len(micro_batches) == 1
        parts = [
            self._add_gradients(batch, whole, last=place == len(micro_batches) - 1)
            for place, batch in enumerate(micro_batches)
        ]
        gradients = [weight.grad for weight in self._weights if weight.grad is not None]
        scalars = [value for part in parts for value in part.values()]
        # The one time that a step waits for the device: the weights must not change by a NaN.
        *numbers, norm = torch.stack([*scalars, nn.utils.get_total_norm(gradients)]).tolist()
        names = list(parts[0])
        sums = [sum(numbers[place :: len(names)]) for place in range(len(names))]
        weight, *losses = self.processes.all_reduce_sum(sums)
        weight = 1.0 if whole else max(1.0, weight)
        scale = self.processes.count / weight  # DistributedDataParallel leaves the mean over processes
        values = {name: loss / weight for name, loss in zip(names[1:], losses, strict=True)}
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
        self.optimizer.step(lr_factor)
        self.average.update()
        return values

    def _add_gradients(self, batch: Batch, whole: bool, last: bool) -> dict[str, Tensor]:
        """Add the gradients of a micro-batch; return its weight and its losses, () each, on the device.

        Losses are sums, divided by the weight of the `whole` batch. Processes exchange gradients only in the
        `last` micro-batch.
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
            batch = self.config.method.reassign(predictions, batch)
            losses = self.config.method.losses(predictions, batch, None if whole else 1.0)
            torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
        return {"weight": batch.weight, **{f"{name}_loss": loss.detach() for name, loss in losses.items()}}

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs, except the averaged weights."""
        return {
            "model": self.model.state_dict(),
            "average_updates": self.average.updates,
            "optimizer": self.optimizer.state_dict(),
        }

    def restore(self, state: dict[str, Any], averaged: dict[str, torch.Tensor]) -> None:
        """Restore the result of `state`, and the averaged weights."""
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
