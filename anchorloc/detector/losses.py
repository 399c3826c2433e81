"""The losses of a batch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from anchorloc.detector.batch import Batch
from anchorloc.detector.box_losses import paired_iou
from anchorloc.detector.coder import Coder
from anchorloc.detector.loss_settings import Criterion
from anchorloc.detector.predictions import Predictions


def batch_losses(
    criterion: Criterion, predictions: Predictions, batch: Batch, coder: Coder, positives: float | None
) -> dict[str, Tensor]:
    """Return the losses of `batch` by name; see `Criterion`."""
    deltas = predictions.deltas.flatten(0, 1)[batch.positives]
    with torch.no_grad():  # a positive stays one, however bad its box
        iou = paired_iou(coder.decode(deltas, batch.anchors), batch.boxes).clamp(min=1e-6)
    learned = iou if batch.alignment is None else batch.alignment
    count = batch.weight.clamp(min=1) if positives is None else positives
    box = criterion.box(deltas, batch.boxes, batch.anchors, coder)
    losses = {
        "classification": criterion.classification.total(predictions.logits, batch, learned) / count,
        "box": criterion.box_weight * (box if batch.alignment is None else box * batch.alignment).sum() / count,
    }
    if predictions.iou_logits is not None:
        logits = predictions.iou_logits.flatten()[batch.positives]
        quality = F.binary_cross_entropy_with_logits(logits, iou, reduction="sum")
        losses["iou"] = criterion.iou_branch_weight * quality / count
    return losses
