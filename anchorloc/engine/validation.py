"""Losses as the log names them, and the score of a model that is in training."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from torch import Tensor, nn

from anchorloc.config import Config
from anchorloc.data import Source
from anchorloc.detector import Batch, Predictions
from anchorloc.engine.inference import aligned, detect_batch, losses_of
from anchorloc.metrics import Evaluation, Localization, evaluate, localize
from anchorloc.structures import Detections

T = TypeVar("T")


@dataclass
class Means:
    """Running means of a few named numbers since the last time they were taken."""

    sums: dict[str, float] = field(default_factory=dict)
    count: int = 0

    def add(self, values: dict[str, float]) -> None:
        """Count one more step."""
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.count += 1

    def take(self) -> dict[str, float]:
        """Return the means and start anew."""
        means = {name: total / self.count for name, total in self.sums.items()}
        self.sums, self.count = {}, 0
        return means


@dataclass(frozen=True, eq=False)
class BatchResult:
    """What came of one batch of a validation."""

    detections: list[Detections]
    losses: dict[str, float]


def run_validation(
    model: nn.Module, loader: Iterable[Batch], config: Config, device: torch.device
) -> list[BatchResult]:
    """Return the results of the batches of this process."""
    losses: list[dict[str, float]] = []

    def note_losses(predictions: Predictions, batch: Batch) -> None:
        losses.append(named_losses(losses_of(config, predictions, aligned(config, predictions, batch))))

    found = [detect_batch(model, batch, config, device, note_losses) for batch in loader]
    return [BatchResult(*pair) for pair in zip(found, losses, strict=True)]


def interleave(parts: Sequence[Sequence[T]]) -> list[T]:
    """Return what the processes have of each batch, in the order of the batches, which were dealt out in turn."""
    return [parts[k % len(parts)][k // len(parts)] for k in range(sum(map(len, parts)))]


def mean_losses(results: Iterable[BatchResult]) -> dict[str, float]:
    """Return the mean losses per batch."""
    means = Means()
    for result in results:
        means.add(result.losses)
    return means.take()


def score_detections(
    detections: Sequence[Detections], source: Source, config: Config, fast: bool = False
) -> Evaluation:
    """Score the detections of all images of `source`; `fast` as in `evaluate`."""
    targets = [source.target(index) for index in range(len(source))]
    return evaluate(targets, detections, source.categories, config.scored_detections, fast=fast)


def localization_of(config: Config, detections: Sequence[Detections], source: Source) -> Localization | None:
    """Score the top box of every image of `source`; None unless task=localization."""
    if config.task != "localization":
        return None
    indices = range(len(source))
    targets = [source.training_target(index) for index in indices]
    return localize(targets, detections, [source.size(index) for index in indices])


def logged_localization(found: Localization | None) -> dict[str, float]:
    """Return the numbers that a run logs at each validation."""
    if found is None:
        return {}
    return {
        "top1_loc_error": found.top1_loc_error,
        "corloc": found.corloc,
        "mean_iou": found.mean_iou,
        "constant_iou": found.constant_iou,
        "spread_ratio": found.spread_ratio,
        "collapsed": float(found.collapsed),
    }


def named_losses(losses: dict[str, Tensor]) -> dict[str, float]:
    """Name the losses as the log does: their sum, and each part."""
    parts = {f"{name}_loss": loss.item() for name, loss in losses.items()}
    return {"loss": sum(parts.values()), **parts}
