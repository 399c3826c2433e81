"""RetinaNet's head: class logits and offsets per anchor, with layers shared by all levels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from anchorloc.detector.head_settings import NORM_GROUPS, Head
from anchorloc.detector.layers import flatten_level
from anchorloc.detector.level_head import init_class_prior, init_last_layer
from anchorloc.detector.predictions import Predictions


class HeadModule(nn.Module):
    """The module of a `Head`."""

    def __init__(self, settings: Head, inputs: Sequence[int], shapes_per_level: Sequence[int], classes: int) -> None:
        super().__init__()
        self.background_class = settings.background_class
        self.columns = classes + settings.background_class
        self.class_tower = _Tower(settings, inputs)
        self.box_tower = _Tower(settings, inputs)
        # Levels with equally many shapes share their last layer too; unequal ones cannot.
        self.group = [sorted(set(shapes_per_level)).index(shapes) for shapes in shapes_per_level]
        widths = sorted(set(shapes_per_level))
        width = settings.channels if settings.depth else inputs[0]
        self.logits = nn.ModuleList(nn.Conv2d(width, k * self.columns, 3, padding=1) for k in widths)
        self.deltas = nn.ModuleList(nn.Conv2d(width, k * 4, 3, padding=1) for k in widths)
        count = len(widths) if settings.iou_branch else 0
        self.quality = nn.ModuleList(nn.Conv2d(width, k, 3, padding=1) for k in widths[:count])
        for layer in (*self.logits, *self.deltas, *self.quality):
            init_last_layer(layer)
        for layer in self.logits:
            init_class_prior(layer, classes, settings.prior, settings.background_class)

    def forward(self, maps: Sequence[Tensor]) -> Predictions:
        """Return the predictions in the order of AnchorGrid."""
        logits, deltas, quality = [], [], []
        for level, features in enumerate(maps):
            group = self.group[level]
            logits.append(flatten_level(self.logits[group](self.class_tower(features, level)), self.columns))
            boxes = self.box_tower(features, level)
            deltas.append(flatten_level(self.deltas[group](boxes), 4))
            if self.quality:
                quality.append(flatten_level(self.quality[group](boxes), 1).squeeze(2))
        iou = torch.cat(quality, dim=1) if quality else None
        return Predictions(torch.cat(logits, dim=1), torch.cat(deltas, dim=1), self.background_class, iou)


class _Tower(nn.Module):
    """A stack of 3×3 convolutions shared by all levels; with batch normalization each level has its own."""

    def __init__(self, settings: Head, inputs: Sequence[int]) -> None:
        super().__init__()
        channels, depth = settings.channels, settings.depth
        widths = [inputs[0], *[channels] * depth]
        bias = settings.norm == "none"
        self.own = len(inputs) if settings.norm == "batch" else 1  # normalizations per layer
        self.convs = nn.ModuleList(_convolution(a, channels, bias, settings.depthwise) for a in widths[:-1])
        self.norms = nn.ModuleList(_norm(settings) for _ in range(depth * self.own))  # (depth, level)
        for module in self.convs.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, features: Tensor, level: int) -> Tensor:
        for depth, conv in enumerate(self.convs):
            features = torch.relu_(self.norms[depth * self.own + level % self.own](conv(features)))
        return features


def _convolution(inputs: int, outputs: int, bias: bool, depthwise: bool) -> nn.Module:
    if not depthwise:
        return nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias)
    each = nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False)
    return nn.Sequential(each, nn.Conv2d(inputs, outputs, 1, bias=bias))


def _norm(settings: Head) -> nn.Module:
    if settings.norm == "group":
        return nn.GroupNorm(NORM_GROUPS, settings.channels)
    return nn.BatchNorm2d(settings.channels) if settings.norm == "batch" else nn.Identity()
