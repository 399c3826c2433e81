"""Box losses.

GIoU is torchvision's. Its CIoU is NaN for a box without height, and its DIoU adds 1e-7 to every divisor, so those two
are written here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import generalized_box_iou_loss

from anchorloc.detector.coder import Coder

_MIN_DIVISOR = 1e-7  # square pixels or pixels: smallest divisor, for boxes without area


@dataclass(frozen=True)
class SmoothL1Loss:
    """Huber loss of the offsets (Fast R-CNN, arXiv:1504.08083), summed over the four."""

    beta: float = 1 / 9  # error below which the loss is quadratic; 0 gives L1

    def __post_init__(self) -> None:
        if self.beta < 0:
            raise ValueError(f"beta must not be negative, got {self.beta}")

    def __call__(self, deltas: Tensor, boxes: Tensor, anchors: Tensor, coder: Coder) -> Tensor:
        """Return the (P,) loss."""
        return F.smooth_l1_loss(deltas, coder.encode(boxes, anchors), beta=self.beta, reduction="none").sum(dim=1)


@dataclass(frozen=True)
class MSELoss:
    """Squared error of the offsets (R-CNN, arXiv:1311.2524, appendix C), summed over the four."""

    def __call__(self, deltas: Tensor, boxes: Tensor, anchors: Tensor, coder: Coder) -> Tensor:
        """Return the (P,) loss."""
        return F.mse_loss(deltas, coder.encode(boxes, anchors), reduction="none").sum(dim=1)


@dataclass(frozen=True)
class GIoULoss:
    """1 - GIoU of decoded and true box (arXiv:1902.09630)."""

    def __call__(self, deltas: Tensor, boxes: Tensor, anchors: Tensor, coder: Coder) -> Tensor:
        """Return the (P,) loss."""
        return generalized_box_iou_loss(coder.decode(deltas, anchors), boxes)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class DIoULoss:
    """1 - IoU + the distance of the centers, squared, in diagonals of the enclosing box (arXiv:1911.08287)."""

    def __call__(self, deltas: Tensor, boxes: Tensor, anchors: Tensor, coder: Coder) -> Tensor:
        """Return the (P,) loss."""
        found = coder.decode(deltas, anchors)
        return 1 - paired_iou(found, boxes) + center_distance(found, boxes)


@dataclass(frozen=True)
class CIoULoss:
    """DIoU with a term for the aspect ratio (arXiv:1911.08287, section 3.3)."""

    def __call__(self, deltas: Tensor, boxes: Tensor, anchors: Tensor, coder: Coder) -> Tensor:
        """Return the (P,) loss."""
        found = coder.decode(deltas, anchors)
        iou = paired_iou(found, boxes)
        shape = angle_difference(found, boxes)
        with torch.no_grad():
            weight = shape / (1 - iou + shape).clamp(min=_MIN_DIVISOR)
        return 1 - iou + center_distance(found, boxes) + weight * shape


def paired_iou(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """Return the (P,) IoU of the rows of two (P, 4) tensors, 0 where neither has an area."""
    size = (torch.minimum(boxes1[:, 2:], boxes2[:, 2:]) - torch.maximum(boxes1[:, :2], boxes2[:, :2])).clamp(min=0)
    intersection = size.prod(dim=1)
    union = (boxes1[:, 2:] - boxes1[:, :2]).prod(dim=1) + (boxes2[:, 2:] - boxes2[:, :2]).prod(dim=1) - intersection
    return intersection / union.clamp(min=_MIN_DIVISOR)


def center_distance(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """Return the (P,) squared distance of the centers over the squared diagonal of the enclosing box."""
    apart = ((boxes1[:, :2] + boxes1[:, 2:]) - (boxes2[:, :2] + boxes2[:, 2:])) / 2
    diagonal = torch.maximum(boxes1[:, 2:], boxes2[:, 2:]) - torch.minimum(boxes1[:, :2], boxes2[:, :2])
    return apart.square().sum(dim=1) / diagonal.square().sum(dim=1).clamp(min=_MIN_DIVISOR)


def angle_difference(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """Return the (P,) squared difference of the angles of the diagonals, 1 for a right angle."""
    angles = []
    for boxes in (boxes1, boxes2):
        width, height = (boxes[:, 2:] - boxes[:, :2]).clamp(min=_MIN_DIVISOR).unbind(dim=1)
        angles.append(torch.atan2(width, height))
    return (4 / math.pi**2) * (angles[0] - angles[1]).square()
