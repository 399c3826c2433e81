"""Feature maps of a backbone to feature maps of one width, coarse meaning carried down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from anchorloc.detector.layers import ConvNormAct


@dataclass(frozen=True)
class FeaturePyramid:
    """Feature Pyramid Network (arXiv:1612.03144) with batch normalization; `extra` stride-2 levels on top (P6, P7)."""

    channels: int = 64
    extra: int = 0

    def __post_init__(self) -> None:
        if self.channels < 1 or self.extra < 0:
            raise ValueError(f"need channels >= 1 and extra >= 0, got {self.channels} and {self.extra}")

    def __call__(self, inputs: Sequence[int]) -> nn.Module:
        """Build the module for maps of `inputs` channels, fine to coarse."""
        return _FeaturePyramid(inputs, self.channels, self.extra)


class _FeaturePyramid(nn.Module):
    def __init__(self, inputs: Sequence[int], channels: int, extra: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(ConvNormAct(width, channels, 1, act=False) for width in inputs)
        self.smooth = nn.ModuleList(ConvNormAct(channels, channels, 3) for _ in inputs)
        self.extra = nn.ModuleList(ConvNormAct(channels, channels, 3, stride=2) for _ in range(extra))

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        merged = [lateral(features) for lateral, features in zip(self.lateral, maps, strict=True)]
        for i in range(len(merged) - 1, 0, -1):
            merged[i - 1] = merged[i - 1] + F.interpolate(merged[i], size=merged[i - 1].shape[-2:], mode="nearest")
        levels = [smooth(features) for smooth, features in zip(self.smooth, merged, strict=True)]
        for downsample in self.extra:
            levels.append(downsample(levels[-1]))
        return levels
