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
    """A loss or gradient is NaN or infinite in some process; the weights were not updated.

    `place` counts the updates that were read before this one at the same time.
    """

    def __init__(self, what: str, value: float, place: int = 0) -> None:
        super().__init__(what, value)
        self.what, self.value, self.place = what, value, place


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
        self._loss_names: list[str] = []
        self._unread: list[Tensor] = []  # (losses + 1,) per update: the losses, and the norm of the gradients
        self._skip: Tensor | None = None  # () on the device: 1 after a NaN that has not been read

    @property
    def waits(self) -> bool:
        """Return whether an update reads its losses before it changes the weights."""
        return self.device.type != "cuda" or self.config.train.skip_nonfinite > 0

    def update(self, micro_batches: Sequence[Batch], lr_factor: float) -> dict[str, float]:
        """Update the weights once, at `lr_factor` times the learning rate, and wait for the losses.

        Returns:
            The losses of the whole batch over all processes: `loss` and its terms.

        Raises:
            NotFiniteError: a loss or a gradient is NaN or infinite; the weights were not updated.
        """
        self.queue_update(micro_batches, lr_factor)
        return self.read_losses()[-1]

    def queue_update(self, micro_batches: Sequence[Batch], lr_factor: float) -> None:
        """Update the weights once, without waiting for the device unless `waits`; `read_losses` gives the losses.

        A NaN or infinite loss or gradient leaves the weights unchanged, and `read_losses` raises it. If this `waits`,
        it leaves the optimizer and the average unchanged too, and with `train.skip_nonfinite` also the statistics of
        batch normalization. Otherwise no update changes the weights between the NaN and `read_losses`.
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
        numbers = torch.stack([*scalars, nn.utils.get_total_norm(gradients)])
        if self.waits:
            numbers = numbers.cpu()
        numbers = numbers.double()
        sums = self.processes.all_reduce_sum(numbers[:-1].view(len(parts), -1).sum(0))
        weight: float | Tensor = 1.0 if whole else sums[0].clamp(min=1.0)
        scale = self.processes.count / weight  # DistributedDataParallel leaves the mean over processes
        norm = scale * numbers[-1]
        factor = scale * (self.config.train.clip_norm / (norm + 1e-6)).clamp(max=1.0)
        self._loss_names = list(parts[0])[1:]
        self._unread.append(torch.cat((sums[1:] / weight, norm[None])))
        not_finite = ~self._unread[-1].isfinite().all()
        if not self.waits:
            torch._foreach_mul_(gradients, factor.float())
            self._skip = not_finite.float() if self._skip is None else self._skip.maximum(not_finite.float())
        elif not_finite:
            self.model.zero_grad()
            for buffer, then in zip(buffers, before, strict=True):
                buffer.copy_(then)
            return
        elif factor != 1:
            torch._foreach_mul_(gradients, factor.item())
        self.optimizer.step(lr_factor, self._skip)
        self.average.update()

    def read_losses(self) -> list[dict[str, float]]:
        """Wait for the device, and return what `update` returns for each update since the last call.

        Raises:
            NotFiniteError: a loss or a gradient is NaN or infinite; the weights are as they were before that update.
        """
        rows = torch.stack(self._unread).tolist() if self._unread else []
        self._unread, self._skip = [], None
        found = []
        for place, (*losses, norm) in enumerate(rows):
            values = {"loss": sum(losses), **dict(zip(self._loss_names, losses, strict=True))}
            for what, value in (("the loss", values["loss"]), ("the norm of the gradients", norm)):
                if not math.isfinite(value):
                    raise NotFiniteError(what, value, place)
            found.append(values)
        return found

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
