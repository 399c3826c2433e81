"""The losses of a batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from anchorloc.detector.batch import Batch
from anchorloc.detector.box_losses import CIoULoss, DIoULoss, GIoULoss, MSELoss, SmoothL1Loss, paired_iou
from anchorloc.detector.class_losses import FocalLoss, HardNegativeLoss, QualityFocalLoss
from anchorloc.detector.coder import DeltaCoder
from anchorloc.detector.predictions import Predictions


@dataclass(frozen=True)
class Criterion:
    """The losses, each divided by the number of positives, or the sum of their alignment (at least 1)."""

    classification: FocalLoss | QualityFocalLoss | HardNegativeLoss = QualityFocalLoss()
    box: GIoULoss | DIoULoss | CIoULoss | SmoothL1Loss | MSELoss = GIoULoss()
    box_weight: float = 2.0  # weight of the box loss
    iou_branch_weight: float = 1.0  # weight of the loss of the IoU branch (detector.head.iou_branch)

    def __post_init__(self) -> None:
        if self.box_weight < 0 or self.iou_branch_weight < 0:
            raise ValueError(
                "box_weight and iou_branch_weight must not be negative, "
                f"got {self.box_weight} and {self.iou_branch_weight}"
            )

    def __call__(
        self, predictions: Predictions, batch: Batch, coder: DeltaCoder, positives: float | None = None
    ) -> dict[str, Tensor]:
        """Return {"classification": (), "box": ()}, and "iou" where it is predicted.

        With no positive the last two are exactly 0, with gradients.

        Args:
            positives: what to divide by, where `batch` is a part of one; else `batch.weight`, but at least 1.
        """
        deltas = predictions.deltas.flatten(0, 1)[batch.positives]
        with torch.no_grad():  # a positive stays one, however bad its box
            iou = paired_iou(coder.decode(deltas, batch.anchors), batch.boxes).clamp(min=1e-6)
        learned = iou if batch.alignment is None else batch.alignment
        count = max(1.0, batch.weight) if positives is None else positives
        box = self.box(deltas, batch.boxes, batch.anchors, coder)
        losses = {
            "classification": self.classification.total(predictions.logits, batch, learned) / count,
            "box": self.box_weight * (box if batch.alignment is None else box * batch.alignment).sum() / count,
        }
        if predictions.iou_logits is not None:
            logits = predictions.iou_logits.flatten()[batch.positives]
            quality = F.binary_cross_entropy_with_logits(logits, iou, reduction="sum")
            losses["iou"] = self.iou_branch_weight * quality / count
        return losses
