"""Which anchor learns which box, by what the network says of it now."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from anchorloc.detector.batch import Batch
from anchorloc.detector.box_losses import paired_iou
from anchorloc.detector.coder import DeltaCoder
from anchorloc.detector.predictions import Predictions
from anchorloc.structures import AnchorGrid, Target


@dataclass(frozen=True)
class TaskAlignedAssigner:
    """Task alignment learning (TOOD, arXiv:2108.07755, section 3.2): a box is learned by those anchors with their
    center in it that already find it best, by score**alpha * IoU**beta of their own predictions.

    What each of them learns as its score is that number, scaled so that the best of a box learns the greatest IoU
    among them; its box loss has the same weight. An anchor that several boxes want goes to the one it overlaps most.
    """

    top: int = 13  # anchors of a box
    alpha: float = 1.0
    beta: float = 6.0

    def __post_init__(self) -> None:
        if self.top < 1 or min(self.alpha, self.beta) < 0:
            raise ValueError(
                f"need top >= 1 and alpha and beta of at least 0, got {self.top}, {self.alpha} and {self.beta}"
            )

    @torch.no_grad()
    def __call__(self, predictions: Predictions, batch: Batch, grid: AnchorGrid, coder: DeltaCoder) -> Batch:
        """Return `batch` with its positives chosen anew; what was ignored stays so where it is no positive."""
        device = predictions.deltas.device
        anchors = torch.from_numpy(grid.boxes).to(device)
        scores = predictions.scores()
        parts = [
            self._image(score, coder.decode(deltas, anchors), anchors, sample.target)
            for score, deltas, sample in zip(scores, predictions.deltas, batch.samples, strict=True)
        ]
        positives = torch.cat([index + place * len(anchors) for place, (index, _, _, _) in enumerate(parts)])
        return replace(
            batch,
            positives=positives,
            anchors=anchors[positives % len(anchors)],
            boxes=torch.cat([boxes for _, boxes, _, _ in parts]),
            labels=torch.cat([labels for _, _, labels, _ in parts]),
            ignored=batch.ignored[~torch.isin(batch.ignored, positives)],
            alignment=torch.cat([alignment for _, _, _, alignment in parts]),
        )

    def _image(
        self, scores: Tensor, found: Tensor, anchors: Tensor, target: Target
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the positives (P,) of an image, ascending, with boxes (P, 4), labels (P,) and alignment (P,)."""
        boxes = torch.from_numpy(target.boxes[~target.crowd]).to(found)
        labels = torch.from_numpy(target.labels[~target.crowd]).to(found.device)
        centers = (anchors[:, :2] + anchors[:, 2:]) / 2
        inside = ((centers > boxes[:, None, :2]) & (centers < boxes[:, None, 2:])).all(dim=2)  # (M, A)
        rows, index = inside.nonzero().unbind(dim=1)
        iou = paired_iou(found[index], boxes[rows])
        metric = scores[index, labels[rows]] ** self.alpha * iou**self.beta
        chosen = _best(metric, rows, self.top)
        chosen = chosen[(metric * iou)[chosen] > 0]
        chosen = chosen[_best(iou[chosen], index[chosen], 1)]  # by ascending anchor
        rows, index, iou, metric = rows[chosen], index[chosen], iou[chosen], metric[chosen]
        greatest = [values.new_zeros(len(boxes)).scatter_reduce(0, rows, values, "amax") for values in (metric, iou)]
        alignment = metric / greatest[0][rows] * greatest[1][rows]
        return index, boxes[rows], labels[rows], alignment


def _best(values: Tensor, groups: Tensor, count: int) -> Tensor:
    """Return the places of the `count` greatest values of each group, by ascending group."""
    order = values.argsort(descending=True, stable=True)
    order = order[groups[order].argsort(stable=True)]
    sorted_groups = groups[order]
    rank = torch.arange(len(order), device=order.device) - torch.searchsorted(sorted_groups, sorted_groups)
    return order[rank < count]
