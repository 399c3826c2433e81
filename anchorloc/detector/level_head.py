"""SSD's head: class logits and offsets per anchor, with separate layers for every level."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from anchorloc.detector.head_settings import LevelHead
from anchorloc.detector.layers import ConvNormAct, flatten_level
from anchorloc.detector.predictions import Predictions


class LevelHeadModule(nn.Module):
    """The module of a `LevelHead`."""

    def __init__(
        self, settings: LevelHead, inputs: Sequence[int], shapes_per_level: Sequence[int], classes: int
    ) -> None:
        super().__init__()
        self.background_class = settings.background_class
        self.columns = classes + settings.background_class
        levels = list(zip(inputs, shapes_per_level, strict=True))
        self.logits = nn.ModuleList(_layer(width, k * self.columns, settings.depthwise) for width, k in levels)
        self.deltas = nn.ModuleList(_layer(width, k * 4, settings.depthwise) for width, k in levels)
        for layer in (*self.logits, *self.deltas):
            init_last_layer(layer)
        for layer in self.logits:
            init_class_prior(layer, classes, settings.prior, settings.background_class)

    def forward(self, maps: Sequence[Tensor]) -> Predictions:
        """Return the predictions in the order of AnchorGrid."""
        logits = [flatten_level(layer(level), self.columns) for layer, level in zip(self.logits, maps, strict=True)]
        deltas = [flatten_level(layer(level), 4) for layer, level in zip(self.deltas, maps, strict=True)]
        return Predictions(torch.cat(logits, dim=1), torch.cat(deltas, dim=1), self.background_class)


def _layer(inputs: int, outputs: int, depthwise: bool) -> nn.Module:
    if not depthwise:
        return nn.Conv2d(inputs, outputs, 3, padding=1)
    return nn.Sequential(ConvNormAct(inputs, inputs, 3, groups=inputs, lite=True), nn.Conv2d(inputs, outputs, 1))


def output_conv(layer: nn.Module) -> nn.Conv2d:
    """Return the convolution that ends a layer of a head."""
    return [module for module in layer.modules() if isinstance(module, nn.Conv2d)][-1]


def init_last_layer(layer: nn.Module) -> None:
    """Initialize the last convolution so that decoded boxes start as their anchors."""
    last = output_conv(layer)
    nn.init.normal_(last.weight, std=0.01)
    nn.init.zeros_(last.bias)  # type: ignore[arg-type]


def init_class_prior(layer: nn.Module, classes: int, prior: float, background: bool) -> None:
    """Initialize the bias so that every score starts at `prior`, or at 1/(1 + classes) if those sum to more than 1."""
    bias = output_conv(layer).bias
    assert bias is not None
    with torch.no_grad():
        if background:
            bias.view(-1, 1 + classes)[:, 0] = math.log(max(1.0, 1 / prior - classes))
        else:
            bias.fill_(-math.log((1 - prior) / prior))
