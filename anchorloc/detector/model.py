"""The detector: backbone, pyramid and head in a row."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from anchorloc.detector.predictions import Predictions
from anchorloc.structures import Color


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
        return self.predict(self.maps(images))

    def maps(self, images: Tensor) -> Any:
        """Return what the head gets: the feature maps of the levels, fine to coarse, or pooled features."""
        pixels = ((images - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        return self.pyramid(self.backbone(pixels))

    def predict(self, maps: Any) -> Predictions:
        """Return the predictions of the head in float32."""
        logits, deltas, background_class, iou_logits = self.head(maps)
        iou_logits = None if iou_logits is None else iou_logits.float()
        return Predictions(logits.float(), deltas.float(), background_class, iou_logits)
