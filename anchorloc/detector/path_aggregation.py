"""Path Aggregation Network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from anchorloc.detector.layers import ConvNormAct
from anchorloc.detector.pyramid import FeaturePyramid


@dataclass(frozen=True)
class PathAggregation:
    """Path Aggregation Network (arXiv:1803.01534, section 3.1): an FPN, and a path back up of stride-2 convolutions.

    `extra_levels` stride-2 levels come on top of the FPN and take part in the path.
    """

    channels: int = 64  # channels of every level
    extra_levels: int = 0  # stride-2 levels on top of the maps of the backbone

    def __post_init__(self) -> None:
        self._down()

    def _down(self) -> FeaturePyramid:
        return FeaturePyramid(self.channels, self.extra_levels)

    def out_strides(self, inputs: Sequence[int]) -> list[int]:
        """Return the stride of each level, for maps of strides `inputs`."""
        return self._down().out_strides(inputs)

    def out_channels(self, inputs: Sequence[int]) -> list[int]:
        """Return the channels of each level, for maps of `inputs` channels."""
        return self._down().out_channels(inputs)

    def __call__(self, inputs: Sequence[int]) -> nn.Module:
        """Build the module for maps of `inputs` channels, fine to coarse."""
        return _PathAggregation(self._down()(inputs), self.channels, len(inputs) + self.extra_levels - 1)


class _PathAggregation(nn.Module):
    def __init__(self, down: nn.Module, channels: int, steps: int) -> None:
        super().__init__()
        self.down = down
        self.up = nn.ModuleList(ConvNormAct(channels, channels, 3, stride=2) for _ in range(steps))
        self.merge = nn.ModuleList(ConvNormAct(channels, channels, 3) for _ in range(steps))

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        finest, *coarser = self.down(maps)
        levels = [finest]
        for up, merge, level in zip(self.up, self.merge, coarser, strict=True):
            levels.append(merge(up(levels[-1]) + level))
        return levels
