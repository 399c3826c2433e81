"""Which anchor learns which box, by what the network says of it now."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from anchorloc.assign import ATSSAssigner, MaxIoUAssigner
from anchorloc.detector.batch import Batch
from anchorloc.detector.box_losses import paired_iou
from anchorloc.detector.coder import DeltaCoder
from anchorloc.detector.predictions import Predictions
from anchorloc.structures import AnchorGrid, FloatArray, IntArray


@dataclass(frozen=True)
class TaskAlignedAssigner:
    """Task alignment learning (TOOD, arXiv:2108.07755, section 3.2): a box is learned by those anchors with their
    center in it that already find it best, by score**alpha * IoU**beta of their own predictions. (MMDetection takes the
    best of all anchors, and then those of them with their center in the box.)

    What each of them learns as its score is that number, scaled so that the best of a box learns the greatest IoU
    among them; its box loss has the same weight. An anchor that several boxes want goes to the one it overlaps most.
    """

    topk: int = 13  # positive anchors of a box at most
    alpha: float = 1.0  # exponent of the score
    beta: float = 6.0  # exponent of the IoU
    initial: ATSSAssigner | MaxIoUAssigner = ATSSAssigner()  # chooses the ignored anchors, without predictions

    def __post_init__(self) -> None:
        if self.topk < 1 or min(self.alpha, self.beta) < 0:
            raise ValueError(
                f"need topk >= 1 and alpha and beta of at least 0, got {self.topk}, {self.alpha} and {self.beta}"
            )

    @torch.no_grad()
    def __call__(self, predictions: Predictions, batch: Batch, grid: AnchorGrid, coder: DeltaCoder) -> Batch:
        """Return `batch` with its positives chosen anew; what was ignored stays so where it is no positive."""
        targets = [sample.target for sample in batch.samples]
        given = np.concatenate([target.boxes[~target.crowd] for target in targets]).astype(np.float32)
        pairs = centers_inside(grid, given)
        device = predictions.deltas.device
        rows, index = (torch.from_numpy(side).to(device) for side in pairs)
        boxes = torch.from_numpy(given).to(device)
        labels = torch.from_numpy(np.concatenate([target.labels[~target.crowd] for target in targets])).to(device)
        images = torch.from_numpy(np.repeat(np.arange(len(targets)), [(~target.crowd).sum() for target in targets]))
        anchors = torch.from_numpy(grid.boxes[pairs[1]]).to(device)
        flat = index + images.to(device)[rows] * len(grid)  # as they are counted in the batch
        found = coder.decode(predictions.deltas.flatten(0, 1)[flat], anchors)
        iou = paired_iou(found, boxes[rows])
        metric = predictions.scores().flatten(0, 1)[flat, labels[rows]] ** self.alpha * iou**self.beta
        chosen = _best(metric, rows, self.topk)
        chosen = chosen[(metric * iou)[chosen] > 0]
        chosen = chosen[_best(iou[chosen], flat[chosen], 1)]  # by ascending anchor
        rows, positives, iou, metric = rows[chosen], flat[chosen], iou[chosen], metric[chosen]
        greatest = [values.new_zeros(len(boxes)).scatter_reduce(0, rows, values, "amax") for values in (metric, iou)]
        return replace(
            batch,
            positives=positives,
            anchors=anchors[chosen],
            boxes=boxes[rows],
            labels=labels[rows],
            ignored=batch.ignored[~torch.isin(batch.ignored, positives)],
            alignment=metric / greatest[0][rows] * greatest[1][rows],
        )


def centers_inside(grid: AnchorGrid, boxes: FloatArray) -> tuple[IntArray, IntArray]:
    """Return (rows, anchors) of all P pairs of a box (M, 4) and an anchor whose center lies inside of it, sorted.

    Centers lie on lattices, so that those in a box are a window: no matrix of boxes and anchors is made.
    """
    found = [(np.zeros(0, np.int64), np.zeros(0, np.int64))]
    start = 0
    for level in grid.levels:
        for shape in range(level.shapes):
            xs, ys = (level.x1[shape] + level.x2[shape]) / 2, (level.y1[shape] + level.y2[shape]) / 2
            left, top = np.searchsorted(xs, boxes[:, 0], "right"), np.searchsorted(ys, boxes[:, 1], "right")
            wide = np.maximum(np.searchsorted(xs, boxes[:, 2], "left") - left, 0)
            high = np.maximum(np.searchsorted(ys, boxes[:, 3], "left") - top, 0)
            count = wide * high
            rows = np.repeat(np.arange(len(boxes)), count)
            place = np.arange(len(rows)) - (np.cumsum(count) - count)[rows]  # in the window of its box
            cells = (top[rows] + place // wide[rows]) * len(xs) + left[rows] + place % wide[rows]
            found.append((rows, start + cells * level.shapes + shape))
        start += len(level)
    rows, anchors = (np.concatenate(side) for side in zip(*found, strict=True))
    order = np.lexsort((anchors, rows))
    return rows[order], anchors[order]


def _best(values: Tensor, groups: Tensor, count: int) -> Tensor:
    """Return the places of the `count` greatest values of each group, by ascending group."""
    order = values.argsort(descending=True, stable=True)
    order = order[groups[order].argsort(stable=True)]
    sorted_groups = groups[order]
    rank = torch.arange(len(order), device=order.device) - torch.searchsorted(sorted_groups, sorted_groups)
    return order[rank < count]
