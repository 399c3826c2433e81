"""The baseline to beat where an image has one object: a box and a class regressed from pooled features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anchorloc.detector.batch import Batch
from anchorloc.detector.coder import NormalizedCoder
from anchorloc.detector.detector_settings import DetectorSettings
from anchorloc.detector.model import Detector
from anchorloc.detector.original_pixels import to_original, with_area
from anchorloc.detector.predictions import Predictions
from anchorloc.detector.single_box_settings import SingleBoxLocalizer
from anchorloc.structures import AnchorGrid, Detections, Sample

CODER = NormalizedCoder()


def build(settings: SingleBoxLocalizer, detector: DetectorSettings, classes: int, pretrained: bool) -> Detector:
    """Return the network of a `SingleBoxLocalizer` on the backbone and colors of `detector`."""
    backbone = detector.backbone(pretrained=pretrained)
    head = _Head(backbone.channels[-1] * settings.pool**2, settings.hidden, classes)
    return Detector(backbone, _Pool(settings.pool), head, detector.mean, detector.std)


def losses(
    settings: SingleBoxLocalizer, predictions: Predictions, batch: Batch, images: float | None
) -> dict[str, Tensor]:
    """Return the losses of `batch` by name; see `SingleBoxLocalizer.losses`."""
    logits, deltas = (values[:, 0][batch.positives] for values in (predictions.logits, predictions.deltas))
    count = batch.weight.clamp(min=1) if images is None else max(1.0, images)
    box = settings.box(deltas, batch.boxes, batch.anchors, CODER).sum()
    return {
        "classification": F.cross_entropy(logits, batch.labels, reduction="sum") / count,
        "box": settings.box_weight * box / count,
    }


def decode(predictions: Predictions, grid: AnchorGrid, samples: Sequence[Sample]) -> list[Detections]:
    """Return the one box of each image, in original pixels; its score is the probability of its class.

    A box without area inside its image is no detection.
    """
    logits, deltas = predictions.logits[:, 0].detach(), predictions.deltas[:, 0].detach()
    scores, labels = (values.cpu().numpy() for values in logits.softmax(dim=-1).max(dim=-1, keepdim=True))  # (B, 1)
    boxes = CODER.decode(deltas.cpu(), torch.from_numpy(grid.boxes)).numpy()[:, None]  # (B, 1, 4)
    no_anchor = np.array([-1])
    return [
        with_area(Detections(to_original(box, sample), score, label, no_anchor, sample.image_id))
        for box, score, label, sample in zip(boxes, scores, labels, samples, strict=True)
    ]


class _Pool(nn.Module):
    """Maps to one vector (B, channels of the last * size²)."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(size)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        return self.pool(maps[-1]).flatten(1)  # type: ignore[no-any-return]


class _Head(nn.Module):
    def __init__(self, inputs: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(inputs, hidden)
        self.logits = nn.Linear(hidden, classes)
        self.deltas = nn.Linear(hidden, 4)

    def forward(self, features: Tensor) -> Predictions:
        """(B, inputs) to logits (B, 1, C) and center and size (B, 1, 4) from 0 to 1."""
        features = torch.relu(self.hidden(features))
        box = self.deltas(features).float().sigmoid()
        return Predictions(self.logits(features)[:, None], box[:, None])
