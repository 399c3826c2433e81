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
from anchorloc.detector.predictions import Predictions
from anchorloc.detector.task_aligned_settings import TaskAlignedAssigner
from anchorloc.structures import AnchorGrid


@torch.no_grad()
def reassign(
    settings: TaskAlignedAssigner, predictions: Predictions, batch: Batch, grid: AnchorGrid, coder: DeltaCoder
) -> Batch:
    """Return `batch` with its positives chosen anew; see `TaskAlignedAssigner`.

    Letters: M boxes of all images (no crowds), Q pairs of a box and an anchor with its center in it, T of them
    among the best of their box, P positives.
    """
    device = predictions.deltas.device
    targets = [sample.target for sample in batch.samples]
    numpy_boxes = np.concatenate([target.boxes[~target.crowd] for target in targets]).astype(np.float32)  # (M, 4)
    numpy_labels = np.concatenate([target.labels[~target.crowd] for target in targets])  # (M,)
    numpy_images = np.repeat(np.arange(len(targets)), [(~target.crowd).sum() for target in targets])  # (M,)
    numpy_rows, numpy_anchors = centers_inside(grid, numpy_boxes)  # (Q,) box of a pair, and anchor in its image
    boxes = torch.from_numpy(numpy_boxes).to(device)  # (M, 4)
    labels = torch.from_numpy(numpy_labels).to(device)  # (M,)
    images = torch.from_numpy(numpy_images).to(device)  # (M,) place in the batch
    pair_box = torch.from_numpy(numpy_rows).to(device)  # (Q,) 0..M-1
    pair_index = torch.from_numpy(numpy_anchors).to(device) + images[pair_box] * len(grid)  # (Q,) 0..B*A-1
    pair_anchor = torch.from_numpy(grid.boxes[numpy_anchors]).to(device)  # (Q, 4) xyxy

    decoded = coder.decode(predictions.deltas.flatten(0, 1)[pair_index], pair_anchor)  # (Q, 4)
    iou = paired_iou(decoded, boxes[pair_box])  # (Q,)
    score = predictions.scores().flatten(0, 1)[pair_index, labels[pair_box]]  # (Q,)
    metric = score**settings.alpha * iou**settings.beta  # (Q,)

    best_of_box = _best(metric, pair_box, settings.topk)  # (T,) places among the Q pairs
    best_of_box = best_of_box[(metric * iou)[best_of_box] > 0]  # no positive without overlap
    best_of_anchor = _best(iou[best_of_box], pair_index[best_of_box], 1)  # (P,) places among the T
    kept = best_of_box[best_of_anchor]  # (P,) places among the Q pairs, by ascending anchor

    row, positives = pair_box[kept], pair_index[kept]  # (P,) box, and anchor in the batch
    most_metric = _greatest(metric[kept], row, len(boxes))  # (M,)
    most_iou = _greatest(iou[kept], row, len(boxes))  # (M,)
    return replace(
        batch,
        positives=positives,
        anchors=pair_anchor[kept],
        boxes=boxes[row],
        labels=labels[row],
        ignored=batch.ignored[~torch.isin(batch.ignored, positives)],
        alignment=metric[kept] / most_metric[row] * most_iou[row],
    )


def _best(values: Tensor, groups: Tensor, count: int) -> Tensor:
    """Return the places of the `count` greatest values of each group, by ascending group."""
    order = values.argsort(descending=True, stable=True)
    order = order[groups[order].argsort(stable=True)]
    sorted_groups = groups[order]
    rank = torch.arange(len(order), device=order.device) - torch.searchsorted(sorted_groups, sorted_groups)
    return order[rank < count]


def _greatest(values: Tensor, groups: Tensor, count: int) -> Tensor:
    """Return the greatest value of each of `count` groups, 0 for an empty group."""
    return values.new_zeros(count).scatter_reduce(0, groups, values, "amax")
