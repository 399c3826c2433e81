"""The levels of SSD and SSDLite: maps of the backbone as they are, and ever coarser ones on top."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anchorloc.detector.layers import ConvNormAct
from anchorloc.detector.pyramid_settings import SSDPyramid


class SSDPyramidModule(nn.Module):
    """The module of an `SSDPyramid`, for maps of `inputs` channels."""

    def __init__(self, settings: SSDPyramid, inputs: Sequence[int]) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((inputs[0],), 20.0))
        self.dense = nn.ModuleList(
            [
                nn.Conv2d(inputs[-1], settings.fc_channels, 3, padding=6, dilation=6),
                nn.Conv2d(settings.fc_channels, settings.fc_channels, 1),
            ]
        )
        halving = len(settings.channels) - settings.unpadded_levels
        self.extra = nn.ModuleList(
            _block(below, width, level < halving)
            for level, (below, width) in enumerate(pairwise([settings.fc_channels, *settings.channels]))
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Return the levels, fine to coarse."""
        levels = [self.scale.view(1, -1, 1, 1) * F.normalize(maps[0]), *maps[1:-1]]
        features = F.max_pool2d(maps[-1], 3, stride=1, padding=1)
        for block in (self.dense, *self.extra):
            for conv in block:
                features = torch.relu_(conv(features))
            levels.append(features)
        return levels


def _block(inputs: int, outputs: int, halve: bool) -> nn.ModuleList:
    last = nn.Conv2d(outputs // 2, outputs, 3, stride=2 if halve else 1, padding=1 if halve else 0)
    return nn.ModuleList([nn.Conv2d(inputs, outputs // 2, 1), last])


class SSDLitePyramidModule(nn.Module):
    """The module of an `SSDLitePyramid`: `channels` levels above maps of `inputs` channels."""

    def __init__(self, inputs: Sequence[int], channels: Sequence[int]) -> None:
        super().__init__()
        self.extra = nn.ModuleList(_lite_block(below, width) for below, width in pairwise([inputs[-1], *channels]))

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Return the levels, fine to coarse."""
        levels = list(maps)
        for block in self.extra:
            levels.append(block(levels[-1]))
        return levels


def _lite_block(inputs: int, outputs: int) -> nn.Module:
    half = outputs // 2
    return nn.Sequential(
        ConvNormAct(inputs, half, 1, lite=True),
        ConvNormAct(half, half, 3, stride=2, groups=half, lite=True),
        ConvNormAct(half, outputs, 1, lite=True),
    )
