"""Assign anchors to boxes by the network's own predictions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from anchorloc.assign import centers_inside
from anchorloc.detector.batch import Batch
from anchorloc.detector.box_losses import paired_iou
from anchorloc.detector.coder_settings import DeltaCoder
from anchorloc.detector.device_copy import copied_to
from anchorloc.detector.predictions import Predictions
from anchorloc.detector.ranking import rank_in_group
from anchorloc.detector.task_aligned_settings import TaskAlignedAssigner
from anchorloc.structures import AnchorGrid


@torch.no_grad()
def reassign(
    settings: TaskAlignedAssigner, predictions: Predictions, batch: Batch, grid: AnchorGrid, coder: DeltaCoder
) -> Batch:
    """Return `batch` with its positives chosen anew; see `TaskAlignedAssigner`.

    Letters: M boxes of all images (no crowds), Q pairs of a box and an anchor with its center in it, P positives.
    The host waits for a GPU once, to learn P, and once more where anchors are ignored.
    """
    device, anchors = predictions.deltas.device, len(batch.samples) * len(grid)
    targets = [sample.target for sample in batch.samples]
    numpy_boxes = np.concatenate([target.boxes[~target.crowd] for target in targets]).astype(np.float32)  # (M, 4)
    numpy_labels = np.concatenate([target.labels[~target.crowd] for target in targets])  # (M,)
    numpy_images = np.repeat(np.arange(len(targets)), [(~target.crowd).sum() for target in targets])  # (M,)
    numpy_rows, numpy_anchors = centers_inside(grid, numpy_boxes)  # (Q,) box of a pair, and anchor in its image
    numpy_index = numpy_anchors + numpy_images[numpy_rows] * len(grid)
    boxes = copied_to(device, torch.from_numpy(numpy_boxes))  # (M, 4)
    labels = copied_to(device, torch.from_numpy(numpy_labels))  # (M,)
    pair_box = copied_to(device, torch.from_numpy(numpy_rows))  # (Q,) 0..M-1
    pair_index = copied_to(device, torch.from_numpy(numpy_index))  # (Q,) 0..B*A-1
    pair_anchor = copied_to(device, torch.from_numpy(grid.boxes[numpy_anchors]))  # (Q, 4) xyxy

    decoded = coder.decode(predictions.deltas.flatten(0, 1)[pair_index], pair_anchor)  # (Q, 4)
    iou = paired_iou(decoded, boxes[pair_box])  # (Q,)
    score = predictions.scores().flatten(0, 1)[pair_index, labels[pair_box]]  # (Q,)
    metric = score**settings.alpha * iou**settings.beta  # (Q,)

    chosen = (rank_in_group(metric, pair_box) < settings.topk) & (metric * iou > 0)  # (Q,) none without overlap
    claim = torch.where(chosen, iou, 0.0)  # (Q,)
    chosen &= claim == _greatest(claim, pair_index, anchors)[pair_index]  # one box for an anchor: the best IoU
    order = torch.where(chosen, -pair_box, -len(boxes))  # (Q,)
    chosen &= order == _greatest(order, pair_index, anchors, -len(boxes))[pair_index]  # the first of equal ones
    kept = torch.nonzero(chosen).squeeze(1)  # (P,) places among the Q pairs
    kept = kept[pair_index[kept].argsort()]

    row, positives = pair_box[kept], pair_index[kept]  # (P,) box, and anchor in the batch
    most_metric = _greatest(metric[kept], row, len(boxes))  # (M,)
    most_iou = _greatest(iou[kept], row, len(boxes))  # (M,)
    return replace(
        batch,
        positives=positives,
        anchors=pair_anchor[kept],
        boxes=boxes[row],
        labels=labels[row],
        ignored=_without(batch.ignored, positives, anchors),
        alignment=metric[kept] / most_metric[row] * most_iou[row],
    )


def _greatest(values: Tensor, groups: Tensor, count: int, least: float = 0) -> Tensor:
    """Return the greatest value of each of `count` groups, `least` for an empty group."""
    return values.new_full((count,), least).scatter_reduce(0, groups, values, "amax")


def _without(ignored: Tensor, positives: Tensor, count: int) -> Tensor:
    """Return the `ignored` of `count` anchors that are not among `positives`."""
    if not len(ignored):
        return ignored
    positive = torch.zeros(count, dtype=torch.bool, device=ignored.device)
    positive[positives] = True
    return ignored[~positive[ignored]]
