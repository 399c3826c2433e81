"""Feature maps to class logits and offsets per anchor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Head:
    """RetinaNet's two towers (arXiv:1708.02002), shared over levels but for their batch normalization.

    Convolutions are shared, statistics are not: a level's own mean and variance are what evaluation will see
    (RTMDet, arXiv:2212.07784).
    """

    channels: int = 64
    depth: int = 2
    prior: float = 0.01  # the score that every anchor starts with

    def __post_init__(self) -> None:
        if self.channels < 1 or self.depth < 0:
            raise ValueError(f"need channels >= 1 and depth >= 0, got {self.channels} and {self.depth}")
        if not 0 < self.prior < 1:
            raise ValueError(f"prior must be above 0 and below 1, got {self.prior}")

    def __call__(self, inputs: int, shapes_per_level: Sequence[int], classes: int) -> nn.Module:
        """Build the module; its widths follow from the anchors of a cell at each level."""
        return _Head(self, inputs, shapes_per_level, classes)


class _Head(nn.Module):
    def __init__(self, settings: Head, inputs: int, shapes_per_level: Sequence[int], classes: int) -> None:
        super().__init__()
        levels = len(shapes_per_level)
        self.classes = classes
        self.class_tower = _Tower(inputs, settings.channels, settings.depth, levels)
        self.box_tower = _Tower(inputs, settings.channels, settings.depth, levels)
        # Levels with equally many shapes share their last layer too; unequal ones cannot.
        self.group = [sorted(set(shapes_per_level)).index(shapes) for shapes in shapes_per_level]
        widths = sorted(set(shapes_per_level))
        self.logits = nn.ModuleList(nn.Conv2d(settings.channels, k * classes, 3, padding=1) for k in widths)
        self.deltas = nn.ModuleList(nn.Conv2d(settings.channels, k * 4, 3, padding=1) for k in widths)
        self._start_at(settings.prior)

    def _start_at(self, prior: float) -> None:
        """Start with boxes equal to their anchors and scores equal to `prior`."""
        for group, bias in ((self.logits, -math.log((1 - prior) / prior)), (self.deltas, 0.0)):
            for layer in group:
                nn.init.normal_(cast(Tensor, layer.weight), std=0.01)
                nn.init.constant_(cast(Tensor, layer.bias), bias)

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return logits (B, A, C) and deltas (B, A, 4) in the order of AnchorGrid."""
        logits, deltas = [], []
        for level, features in enumerate(maps):
            group = self.group[level]
            logits.append(flatten_level(self.logits[group](self.class_tower(features, level)), self.classes))
            deltas.append(flatten_level(self.deltas[group](self.box_tower(features, level)), 4))
        return torch.cat(logits, dim=1), torch.cat(deltas, dim=1)


class _Tower(nn.Module):
    """A stack of 3×3 convolutions shared by all levels, each level with its own normalization."""

    def __init__(self, inputs: int, channels: int, depth: int, levels: int) -> None:
        super().__init__()
        widths = [inputs, *[channels] * depth]
        self.levels = levels
        self.convs = nn.ModuleList(nn.Conv2d(a, channels, 3, padding=1, bias=False) for a in widths[:-1])
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for _ in range(depth * levels))  # (depth, level)
        for conv in self.convs:
            nn.init.kaiming_normal_(cast(Tensor, conv.weight), mode="fan_out", nonlinearity="relu")

    def forward(self, features: Tensor, level: int) -> Tensor:
        for depth, conv in enumerate(self.convs):
            features = torch.relu_(self.norms[depth * self.levels + level](conv(features)))
        return features


def flatten_level(output: Tensor, channels: int) -> Tensor:
    """Reorder a (B, K*channels, H, W) level to (B, H*W*K, channels), the order of AnchorGrid."""
    return output.permute(0, 2, 3, 1).reshape(len(output), -1, channels)
