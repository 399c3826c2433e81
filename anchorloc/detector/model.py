"""The detector: backbone, pyramid and head in a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from anchorloc.detector.backbone import ResidualBackbone
from anchorloc.detector.head import Head
from anchorloc.detector.pyramid import FeaturePyramid
from anchorloc.detector.torchvision_backbone import TorchvisionBackbone


class Predictions(NamedTuple):
    """What the network says of every anchor, in the order of AnchorGrid."""

    logits: Tensor  # (B, A, C)
    deltas: Tensor  # (B, A, 4)


@dataclass(frozen=True)
class DetectorSettings:
    """The parts of the network."""

    backbone: ResidualBackbone | TorchvisionBackbone = ResidualBackbone()
    pyramid: FeaturePyramid = FeaturePyramid()
    head: Head = Head()

    def __call__(
        self, strides: Sequence[float], shapes_per_level: Sequence[int], classes: int, *, pretrained: bool = True
    ) -> Detector:
        """Build the network for anchors at `strides` with `shapes_per_level` each.

        Args:
            pretrained: load the weights that the backbone names; a checkpoint brings its own.

        Raises:
            ValueError: the pyramid has other strides than the anchors, or a backbone cannot be had.
        """
        backbone = self.backbone(pretrained=pretrained)
        made = [*backbone.strides, *(backbone.strides[-1] << i for i in range(1, self.pyramid.extra + 1))]
        if list(strides) != made:
            raise ValueError(
                f"anchors.strides {list(strides)} do not fit the feature maps, whose strides are {made}; "
                "change anchors.strides, detector.backbone or detector.pyramid.extra"
            )
        pyramid = self.pyramid(backbone.channels)
        return Detector(backbone, pyramid, self.head(self.pyramid.channels, shapes_per_level, classes))


class Detector(nn.Module):
    """Images to predictions; images are uint8 and normalized here, so that pixels travel as bytes."""

    def __init__(self, backbone: nn.Module, pyramid: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbone, self.pyramid, self.head = backbone, pyramid, head
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1) * 255, persistent=False)

    def forward(self, images: Tensor) -> Predictions:
        """(B, 3, H, W) uint8 to predictions in float32."""
        pixels = ((images - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        logits, deltas = self.head(self.pyramid(self.backbone(pixels)))
        return Predictions(logits.float(), deltas.float())
