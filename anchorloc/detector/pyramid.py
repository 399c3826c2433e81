"""Feature Pyramid Network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anchorloc.detector.layers import ConvNormAct
from anchorloc.detector.pyramid_settings import FeaturePyramid


class FeaturePyramidModule(nn.Module):
    """The module of a `FeaturePyramid`, for maps of `inputs` channels."""

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
        """Return the levels, fine to coarse."""
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
