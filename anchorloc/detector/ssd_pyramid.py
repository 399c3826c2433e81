"""The levels of SSD and SSDLite: maps of the backbone as they are, and ever coarser ones on top."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anchorloc.detector.layers import ConvNormAct


@dataclass(frozen=True)
class SSDPyramid:
    """SSD's levels over VGG-16 (arXiv:1512.02325, sections 2 and 3): a rescaled conv4_3, a dilated fc7, and more."""

    fc_channels: int = 1024  # channels of fc6 and fc7
    channels: tuple[int, ...] = (512, 256, 256, 256)  # channels of each level above fc7
    unpadded_levels: int = 2  # number of last levels with unpadded 3×3 convolutions; the others use stride 2

    def __post_init__(self) -> None:
        if min((self.fc_channels, *self.channels)) < 2 or not 0 <= self.unpadded_levels <= len(self.channels):
            raise ValueError(
                "need fc_channels and channels of at least 2 and unpadded_levels from 0 to the number of channels, "
                f"got {self.fc_channels}, {self.channels} and {self.unpadded_levels}"
            )

    def out_strides(self, inputs: Sequence[int]) -> None:
        """Return None: a level without padding has no stride."""

    def out_channels(self, inputs: Sequence[int]) -> list[int]:
        """Return the channels of each level, for maps of `inputs` channels."""
        return [*inputs[:-1], self.fc_channels, *self.channels]

    def __call__(self, inputs: Sequence[int]) -> nn.Module:
        """Build the module for maps of `inputs` channels, fine to coarse.

        Raises:
            ValueError: there are fewer than two.
        """
        if len(inputs) < 2:
            raise ValueError(
                f"SSDPyramid takes two maps of the backbone at least, as conv4_3 and fc7; got {len(inputs)}"
            )
        return _SSDPyramid(self, inputs)


class _SSDPyramid(nn.Module):
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


@dataclass(frozen=True)
class SSDLitePyramid:
    """SSDLite's levels (arXiv:1801.04381, section 6.2): the maps of the backbone, and depthwise blocks of stride 2."""

    channels: tuple[int, ...] = (512, 256, 256, 128)  # channels of each level above the backbone's

    def __post_init__(self) -> None:
        if min(self.channels, default=2) < 2:
            raise ValueError(f"channels must be at least 2, got {self.channels}")

    def out_strides(self, inputs: Sequence[int]) -> list[int]:
        """Return the stride of each level, for maps of strides `inputs`."""
        return [*inputs, *(inputs[-1] << level for level in range(1, len(self.channels) + 1))]

    def out_channels(self, inputs: Sequence[int]) -> list[int]:
        """Return the channels of each level, for maps of `inputs` channels."""
        return [*inputs, *self.channels]

    def __call__(self, inputs: Sequence[int]) -> nn.Module:
        """Build the module for maps of `inputs` channels, fine to coarse."""
        return _SSDLitePyramid(inputs, self.channels)


class _SSDLitePyramid(nn.Module):
    def __init__(self, inputs: Sequence[int], channels: Sequence[int]) -> None:
        super().__init__()
        self.extra = nn.ModuleList(_lite_block(below, width) for below, width in pairwise([inputs[-1], *channels]))

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
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
