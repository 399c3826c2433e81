"""Losses as the log names them, and the score of a model that is in training."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from anchorloc.config import Config
from anchorloc.data import Source
from anchorloc.detector import Batch, Predictions
from anchorloc.engine.inference import aligned, detect, losses_of
from anchorloc.engine.localizing import localization_of
from anchorloc.metrics import Evaluation, Localization, evaluate
from anchorloc.structures import Detections


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


def validate(
    model: nn.Module, loader: Iterable[Batch], config: Config, source: Source, device: torch.device
) -> tuple[Evaluation, Localization | None, dict[str, float]]:
    """Return the scores of `model` over `source`, those of localization if that is the task, and its mean losses per
    batch.
    """
    means = Means()

    def add_losses(predictions: Predictions, batch: Batch) -> None:
        losses = losses_of(config, predictions, aligned(config, predictions, batch))
        means.add(loss_values(losses))

    detections = list(detect(model, loader, config, device, look=add_losses))
    return score(detections, source, config), localization_of(config, detections, source), means.take()


def score(detections: Sequence[Detections], source: Source, config: Config) -> Evaluation:
    """Score the detections of all images of `source`."""
    targets = [source.target(index) for index in range(len(source))]
    return evaluate(targets, detections, source.categories, config.scored_detections)


def sum_losses(losses: dict[str, Tensor]) -> Tensor:
    """Add up the parts."""
    return torch.stack(list(losses.values())).sum()


def loss_values(losses: dict[str, Tensor]) -> dict[str, float]:
    """Name the losses as the log does: their sum, and each part."""
    parts = {f"{name}_loss": loss.item() for name, loss in losses.items()}
    return {"loss": sum(parts.values()), **parts}
