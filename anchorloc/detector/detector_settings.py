"""The parts of a detector to choose from; torch and the network are imported on the first call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from anchorloc.detector.backbone_settings import ResidualBackbone, TimmBackbone, TorchvisionBackbone
from anchorloc.detector.head_settings import Head, LevelHead
from anchorloc.detector.part_protocols import BackboneProtocol
from anchorloc.detector.pyramid_settings import FeaturePyramid, PathAggregation, SSDLitePyramid, SSDPyramid
from anchorloc.structures import Color

if TYPE_CHECKING:
    from anchorloc.detector.model import Detector


@dataclass(frozen=True)
class DetectorSettings:
    """The parts of the network."""

    backbone: ResidualBackbone | TorchvisionBackbone | TimmBackbone | BackboneProtocol = ResidualBackbone()
    pyramid: FeaturePyramid | PathAggregation | SSDPyramid | SSDLitePyramid = FeaturePyramid()
    head: Head | LevelHead = Head()
    mean: Color = (0.485, 0.456, 0.406)  # RGB from 0 to 1, subtracted from the pixels
    std: Color = (0.229, 0.224, 0.225)  # RGB from 0 to 1; pixels are divided by it after `mean` is subtracted
    weights: str = ""  # file of initial weights of the whole network: a state dict of a torchvision detector, or a
    # best.pt; replaces backbone.weights

    def __post_init__(self) -> None:
        if not (0 <= min(self.mean) <= max(self.mean) <= 1 and 0 < min(self.std) <= max(self.std) <= 1):
            raise ValueError(f"mean and std are of colors from 0 to 1, not 0 to 255; got {self.mean} and {self.std}")

    def __call__(
        self, strides: Sequence[float], shapes_per_level: Sequence[int], classes: int, *, pretrained: bool = True
    ) -> Detector:
        """Build the network for anchors at `strides` with `shapes_per_level` each.

        Args:
            pretrained: load the weights that the backbone names; a checkpoint and `weights` bring their own.

        Raises:
            ValueError: the pyramid has other levels than the anchors, or a backbone cannot be had.
        """
        from anchorloc.detector.model import Detector

        backbone = self.backbone(pretrained=pretrained and not self.weights)
        made = self.pyramid.out_strides(backbone.strides)
        if made is not None and list(strides) != made:
            raise ValueError(
                f"anchors.strides {list(strides)} do not fit the feature maps, whose strides are {made}; "
                "change anchors.strides, detector.backbone or detector.pyramid.extra_levels"
            )
        channels = self.pyramid.out_channels(backbone.channels)
        if len(channels) != len(shapes_per_level):
            raise ValueError(
                f"anchors for {len(shapes_per_level)} levels do not fit the {len(channels)} feature maps; "
                "change anchors, detector.backbone or detector.pyramid"
            )
        head = self.head(channels, shapes_per_level, classes)
        return Detector(backbone, self.pyramid(backbone.channels), head, self.mean, self.std)

    @property
    def fill(self) -> Color:
        """The color that normalization turns into 0, from 0 to 255."""
        red, green, blue = (np.array(self.mean, np.float32) * 255).tolist()
        return red, green, blue
