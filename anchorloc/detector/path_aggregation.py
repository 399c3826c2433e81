"""Path Aggregation Network."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from anchorloc.detector.layers import ConvNormAct


class PathAggregationModule(nn.Module):
    """The module of a `PathAggregation`: the FPN `down`, and `steps` convolutions back up."""

    def __init__(self, down: nn.Module, channels: int, steps: int) -> None:
        super().__init__()
        self.down = down
        self.up = nn.ModuleList(ConvNormAct(channels, channels, 3, stride=2) for _ in range(steps))
        self.merge = nn.ModuleList(ConvNormAct(channels, channels, 3) for _ in range(steps))

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Return the levels, fine to coarse."""
        finest, *coarser = self.down(maps)
        levels = [finest]
        for up, merge, level in zip(self.up, self.merge, coarser, strict=True):
            levels.append(merge(up(levels[-1]) + level))
        return levels
