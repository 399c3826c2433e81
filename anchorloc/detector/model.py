"""The detector: backbone, pyramid and head in a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from anchorloc.detector.backbone import ResidualBackbone
from anchorloc.detector.head import Head
from anchorloc.detector.level_head import LevelHead
from anchorloc.detector.path_aggregation import PathAggregation
from anchorloc.detector.predictions import Predictions
from anchorloc.detector.pyramid import FeaturePyramid
from anchorloc.detector.ssd_pyramid import SSDLitePyramid, SSDPyramid
from anchorloc.detector.timm_backbone import TimmBackbone
from anchorloc.detector.torchvision_backbone import TorchvisionBackbone
from anchorloc.structures import Color


@dataclass(frozen=True)
class DetectorSettings:
    """The parts of the network."""

    backbone: ResidualBackbone | TorchvisionBackbone | TimmBackbone = ResidualBackbone()
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
        red, green, blue = (torch.tensor(self.mean) * 255).tolist()
        return red, green, blue


class Detector(nn.Module):
    """Images to predictions; images are bytes and normalized here, so that pixels travel as such."""

    def __init__(self, backbone: nn.Module, pyramid: nn.Module, head: nn.Module, mean: Color, std: Color) -> None:
        super().__init__()
        self.backbone, self.pyramid, self.head = backbone, pyramid, head
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1) * 255, persistent=False)

    def forward(self, images: Tensor) -> Predictions:
        """(B, 3, H, W) from 0 to 255, of any type, to predictions in float32."""
        pixels = ((images - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        logits, deltas, background_class, iou_logits = self.head(self.pyramid(self.backbone(pixels)))
        iou_logits = None if iou_logits is None else iou_logits.float()
        return Predictions(logits.float(), deltas.float(), background_class, iou_logits)
