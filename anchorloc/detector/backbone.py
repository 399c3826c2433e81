"""A small ResNet to train from random weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from anchorloc.detector.backbone_settings import ResidualBackbone
from anchorloc.detector.layers import Backbone, ConvNormAct


class ResidualNetwork(Backbone):
    """The module of a `ResidualBackbone`."""

    def __init__(self, settings: ResidualBackbone) -> None:
        super().__init__()
        narrow = settings.channels[0] // 2
        self.stem = nn.Sequential(ConvNormAct(3, narrow, 3, stride=2), ConvNormAct(narrow, settings.channels[0], 3, 2))
        inputs = (settings.channels[0], *settings.channels)
        self.stages = nn.ModuleList(
            nn.Sequential(
                *(ResidualBlock(inputs[i] if b == 0 else width, width, 2 if i and b == 0 else 1) for b in range(blocks))
            )
            for i, (width, blocks) in enumerate(zip(settings.channels, settings.blocks, strict=True))
        )
        self.strides = settings.strides
        self.skipped = len(settings.channels) - len(self.strides)
        self.channels = settings.channels[self.skipped :]

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the maps from `first_stride` on, fine to coarse."""
        maps = []
        features = self.stem(images)
        for stage in self.stages:
            features = stage(features)
            maps.append(features)
        return maps[self.skipped :]


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions and a short cut; the last normalization starts at 0, so a block starts as identity."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = ConvNormAct(inputs, outputs, 3, stride)
        self.second = ConvNormAct(outputs, outputs, 3, act=False)
        nn.init.zeros_(self.second.norm.weight)
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else _shortcut(inputs, outputs, stride)

    def forward(self, features: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, ceil(H / stride), ceil(W / stride))."""
        return torch.relu_(self.second(self.first(features)) + self.shortcut(features))


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Module:
    """Average, then mix channels: no input is thrown away (ResNet-D, arXiv:1812.01187)."""
    pool: list[nn.Module] = [nn.AvgPool2d(stride, ceil_mode=True)] if stride > 1 else []
    return nn.Sequential(*pool, ConvNormAct(inputs, outputs, 1, act=False))
