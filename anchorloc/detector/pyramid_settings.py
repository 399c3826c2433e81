"""The pyramids to choose from; torch and the layers are imported on the first call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import nn


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
        from anchorloc.detector.pyramid import FeaturePyramidModule

        return FeaturePyramidModule(self, inputs)

    def out_strides(self, inputs: Sequence[int]) -> list[int]:
        """Return the stride of each level, for maps of strides `inputs`."""
        return [*inputs, *(inputs[-1] << level for level in range(1, self.extra_levels + 1))]

    def out_channels(self, inputs: Sequence[int]) -> list[int]:
        """Return the channels of each level, for maps of `inputs` channels."""
        return [self.channels] * (len(inputs) + self.extra_levels)


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
        from anchorloc.detector.path_aggregation import PathAggregationModule

        return PathAggregationModule(self._down()(inputs), self.channels, len(inputs) + self.extra_levels - 1)


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
        from anchorloc.detector.ssd_pyramid import SSDPyramidModule

        if len(inputs) < 2:
            raise ValueError(
                f"SSDPyramid takes two maps of the backbone at least, as conv4_3 and fc7; got {len(inputs)}"
            )
        return SSDPyramidModule(self, inputs)


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
        from anchorloc.detector.ssd_pyramid import SSDLitePyramidModule

        return SSDLitePyramidModule(inputs, self.channels)
