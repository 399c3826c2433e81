"""Losses and scores of a model during training, under the names of the log."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from torch import Tensor, nn

from anchorloc.config import Config
from anchorloc.detector import Batch, Predictions
from anchorloc.engine.inference import detect_batch
from anchorloc.metrics import Localization
from anchorloc.structures import Detections

T = TypeVar("T")


@dataclass
class RunningMeans:
    """Means of named numbers since the last `pop`."""

    sums: dict[str, float] = field(default_factory=dict)
    count: int = 0

    def add(self, values: dict[str, float]) -> None:
        """Add the numbers of one step."""
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.count += 1

    def pop(self) -> dict[str, float]:
        """Return the means and reset them."""
        means = {name: total / self.count for name, total in self.sums.items()}
        self.sums, self.count = {}, 0
        return means


@dataclass(frozen=True, eq=False)
class BatchResult:
    """Detections and losses of one validation batch."""

    detections: list[Detections]
    losses: dict[str, float]


def run_validation(
    model: nn.Module, loader: Iterable[Batch], config: Config, device: torch.device
) -> list[BatchResult]:
    """Return the results of this process's batches."""
    losses: list[dict[str, float]] = []

    def add_losses(predictions: Predictions, batch: Batch) -> None:
        method = config.method
        losses.append(named_losses(method.losses(predictions, method.reassign(predictions, batch))))

    found = [detect_batch(model, batch, config, device, add_losses) for batch in loader]
    return [BatchResult(*pair) for pair in zip(found, losses, strict=True)]


def until_stopped(stops: Sequence[int], loader: Iterable[Batch], announce: Callable[[int], None]) -> Iterator[Batch]:
    """Yield batches until `stops` holds a request to end the run, each one announced by its number from 1."""
    for number, batch in enumerate(loader, 1):
        announce(number)
        if stops:
            return
        yield batch


def merge_shards(lists: Sequence[Sequence[T]]) -> list[T]:
    """Merge the lists of processes that took turns with the batches, in the order of the batches."""
    return [lists[k % len(lists)][k // len(lists)] for k in range(sum(map(len, lists)))]


def mean_losses(results: Iterable[BatchResult]) -> dict[str, float]:
    """Return each loss as its mean over the batches."""
    means = RunningMeans()
    for result in results:
        means.add(result.losses)
    return means.pop()


def logged_localization(found: Localization | None) -> dict[str, float]:
    """Return the numbers that a run logs at each validation."""
    if found is None:
        return {}
    return {
        "top1_loc_error": found.top1_loc_error,
        "corloc": found.corloc,
        "mean_iou": found.mean_iou,
        "constant_iou": found.constant_iou,
        "spread_ratio": found.box_std_ratio,
        "collapsed": float(found.collapsed),
    }


def named_losses(losses: dict[str, Tensor]) -> dict[str, float]:
    """Return the losses under the names of the log: `loss` is their sum."""
    numbers = torch.stack(list(losses.values())).tolist()
    terms = {f"{name}_loss": number for name, number in zip(losses, numbers, strict=True)}
    return {"loss": sum(terms.values()), **terms}
