"""The baseline to beat where an image has one object: a box and a class regressed from pooled features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anchorloc.detector.batch import Batch
from anchorloc.detector.box_losses import MSELoss, SmoothL1Loss
from anchorloc.detector.coder import NormalizedCoder
from anchorloc.detector.decode import to_original, with_area
from anchorloc.detector.model import Detector, DetectorSettings
from anchorloc.detector.predictions import Predictions
from anchorloc.structures import AnchorGrid, Detections, Sample

CODER = NormalizedCoder()


@dataclass(frozen=True)
class SingleBoxLocalizer:
    """Pool the last map, apply one hidden layer, and predict a normalized box and class logits.

    The rest of the engine sees a network with one anchor, the whole image, which is assigned to the one object.
    """

    pool: int = 1  # cells per side that the last map is averaged to; 1 is global pooling
    hidden: int = 256  # units of the hidden layer
    box: SmoothL1Loss | MSELoss = SmoothL1Loss()  # loss of center and size, as fractions of the image
    box_weight: float = 10.0  # weight of the box loss; the class loss has 1

    def __post_init__(self) -> None:
        if self.pool < 1 or self.hidden < 1 or self.box_weight < 0:
            raise ValueError(
                f"need pool >= 1, hidden >= 1 and box_weight >= 0, got {self.pool}, {self.hidden} and {self.box_weight}"
            )

    def __call__(self, settings: DetectorSettings, classes: int, *, pretrained: bool = True) -> Detector:
        """Build the network on the backbone and colors of `settings`."""
        backbone = settings.backbone(pretrained=pretrained)
        head = _Head(backbone.channels[-1] * self.pool**2, self.hidden, classes)
        return Detector(backbone, _Pool(self.pool), head, settings.mean, settings.std)

    def losses(self, predictions: Predictions, batch: Batch, images: float | None = None) -> dict[str, Tensor]:
        """Return {"classification": (), "box": ()}; an image whose object was cropped away has no part in them.

        Args:
            images: what to divide by, where several processes share a batch; else those with an object.
        """
        logits, deltas = (values[:, 0][batch.positives] for values in (predictions.logits, predictions.deltas))
        count = max(1.0, batch.weight if images is None else images)
        box = self.box(deltas, batch.boxes, batch.anchors, CODER).sum()
        return {
            "classification": F.cross_entropy(logits, batch.labels, reduction="sum") / count,
            "box": self.box_weight * box / count,
        }

    def decode(self, predictions: Predictions, grid: AnchorGrid, samples: Sequence[Sample]) -> list[Detections]:
        """Return the one box of each image, in original pixels; its score is the probability of its class.

        A box that has no area inside the image is no detection.
        """
        logits, deltas = predictions.logits[:, 0].detach(), predictions.deltas[:, 0].detach()
        scores, labels = logits.softmax(dim=-1).max(dim=-1)
        boxes = CODER.decode(deltas, torch.from_numpy(grid.boxes).to(deltas.device))
        return [
            with_area(
                Detections(
                    to_original(box[None].cpu().numpy(), sample),
                    score[None].cpu().numpy(),
                    label[None].cpu().numpy(),
                    np.array([-1]),  # no anchor
                    sample.image_id,
                )
            )
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
