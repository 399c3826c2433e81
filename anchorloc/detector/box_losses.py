"""The formulas of the box losses.

torchvision's GIoU selects rows by a mask, for which the host waits for a GPU. Its CIoU is NaN for a box without height,
and its DIoU adds 1e-7 to every divisor. So all three are written here.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

_MIN_DIVISOR = 1e-7  # square pixels or pixels: smallest divisor, for boxes without area


def smooth_l1_loss(deltas: Tensor, targets: Tensor, beta: float) -> Tensor:
    """Return the (P,) Huber loss of offsets (P, 4); see `SmoothL1Loss`."""
    return F.smooth_l1_loss(deltas, targets, beta=beta, reduction="none").sum(dim=1)


def mse_loss(deltas: Tensor, targets: Tensor) -> Tensor:
    """Return the (P,) squared error of offsets (P, 4); see `MSELoss`."""
    return F.mse_loss(deltas, targets, reduction="none").sum(dim=1)


def giou_loss(found: Tensor, boxes: Tensor) -> Tensor:
    """Return the (P,) loss of decoded boxes (P, 4); see `GIoULoss`. It equals torchvision's to the last bit."""
    width, height = (torch.minimum(found[:, 2:], boxes[:, 2:]) - torch.maximum(found[:, :2], boxes[:, :2])).unbind(1)
    intersection = torch.where((width > 0) & (height > 0), width * height, 0.0)
    union = _area(found) + _area(boxes) - intersection
    outer = torch.cat([torch.minimum(found[:, :2], boxes[:, :2]), torch.maximum(found[:, 2:], boxes[:, 2:])], dim=1)
    enclosing = _area(outer)
    iou = intersection / (union + _MIN_DIVISOR)
    return 1 - (iou - (enclosing - union) / (enclosing + _MIN_DIVISOR))


def diou_loss(found: Tensor, boxes: Tensor) -> Tensor:
    """Return the (P,) loss of decoded boxes (P, 4); see `DIoULoss`."""
    return 1 - paired_iou(found, boxes) + center_distance(found, boxes)


def ciou_loss(found: Tensor, boxes: Tensor) -> Tensor:
    """Return the (P,) loss of decoded boxes (P, 4); see `CIoULoss`."""
    iou = paired_iou(found, boxes)
    shape = angle_difference(found, boxes)
    with torch.no_grad():
        weight = shape / (1 - iou + shape).clamp(min=_MIN_DIVISOR)
    return 1 - iou + center_distance(found, boxes) + weight * shape


def _area(boxes: Tensor) -> Tensor:
    """Return the (P,) areas of boxes (P, 4)."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


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
