"""Feature Pyramid Network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anchorloc.detector.layers import ConvNormAct


@dataclass(frozen=True)
class FeaturePyramid:
    """Feature Pyramid Network (arXiv:1612.03144); `extra_levels` stride-2 levels on top (P6, P7)."""

    channels: int = 64  # channels of every level
    extra_levels: int = 0  # stride-2 levels on top of the maps of the backbone
    norm: Literal["batch", "none"] = "batch"  # batch: batch normalization and ReLU; none: as in the paper
    extra_levels_from: Literal["pyramid", "backbone"] = "pyramid"  # coarsest map that the extra levels start from

    def __post_init__(self) -> None:
        if self.channels < 1 or self.extra_levels < 0:
            raise ValueError(f"need channels >= 1 and extra_levels >= 0, got {self.channels} and {self.extra_levels}")

    def __call__(self, inputs: Sequence[int]) -> nn.Module:
        """Build the module for maps of `inputs` channels, fine to coarse."""
        return _FeaturePyramid(self, inputs)

    def out_strides(self, inputs: Sequence[int]) -> list[int]:
        """Return the stride of each level, for maps of strides `inputs`."""
        return [*inputs, *(inputs[-1] << level for level in range(1, self.extra_levels + 1))]

    def out_channels(self, inputs: Sequence[int]) -> list[int]:
        """Return the channels of each level, for maps of `inputs` channels."""
        return [self.channels] * (len(inputs) + self.extra_levels)


class _FeaturePyramid(nn.Module):
    def __init__(self, settings: FeaturePyramid, inputs: Sequence[int]) -> None:
        super().__init__()
        channels, self.plain = settings.channels, settings.norm == "none"
        self.from_backbone = settings.extra_levels_from == "backbone"
        below = [inputs[-1] if self.from_backbone else channels, *[channels] * settings.extra_levels]
        conv = _plain if self.plain else ConvNormAct
        self.lateral = nn.ModuleList(
            _plain(width, channels, 1) if self.plain else ConvNormAct(width, channels, 1, act=False) for width in inputs
        )
        self.smooth = nn.ModuleList(conv(channels, channels, 3) for _ in inputs)
        self.extra = nn.ModuleList(conv(width, channels, 3, 2) for width in below[: settings.extra_levels])

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        merged = [lateral(features) for lateral, features in zip(self.lateral, maps, strict=True)]
        for i in range(len(merged) - 1, 0, -1):
            merged[i - 1] = merged[i - 1] + F.interpolate(merged[i], size=merged[i - 1].shape[-2:], mode="nearest")
        levels = [smooth(features) for smooth, features in zip(self.smooth, merged, strict=True)]
        features = maps[-1] if self.from_backbone else levels[-1]
        for index, downsample in enumerate(self.extra):
            features = downsample(torch.relu(features) if self.plain and index else features)
            levels.append(features)
        return levels


def _plain(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Module:
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2)
    nn.init.kaiming_uniform_(conv.weight, a=1)
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return conv
