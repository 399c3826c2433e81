"""The peers of the assigners: torchvision's own matching, and ATSS written in torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.models.detection._utils import Matcher
from torchvision.ops import box_iou

from anchorloc.structures import AnchorGrid

Boxes = NDArray[np.float32]


def random_boxes(count: int, image_size: tuple[int, int], seed: int = 0) -> Boxes:
    """Return (M, 4) boxes with centers in the image, clipped to it.

    Sides are log-uniform from 12 to 500 px, or to the shorter side of a smaller image."""
    height, width = image_size
    rng = np.random.default_rng(seed)
    sides = np.exp(rng.uniform(np.log(12), np.log(min(500, height, width)), (count, 2)))
    centers = rng.uniform(0, (width, height), (count, 2))
    corners = np.concatenate([centers - sides / 2, centers + sides / 2], axis=1)
    return corners.clip(0, (width, height, width, height)).astype(np.float32)


def torchvision_matcher(anchors: Tensor, boxes: Boxes) -> Any:
    """Return the (A,) labels of torchvision's RetinaNet without its low-quality matches."""
    return Matcher(0.5, 0.4, False)(box_iou(torch.from_numpy(boxes), anchors)).numpy()


def torch_atss(grid: AnchorGrid, anchors: Tensor, boxes: Boxes, candidates: int = 9) -> Any:
    """Return the (A,) labels of ATSS (Zhang et al. 2020, algorithm 1), after the reference implementation.

    It makes the matrix of all anchors and boxes, takes the top-k by distance for each level, and gives an anchor that
    several boxes claim to the one of greatest IoU."""
    truths = torch.from_numpy(boxes)
    iou = box_iou(anchors, truths)  # (A, M)
    centers = (anchors[:, :2] + anchors[:, 2:]) / 2
    away = (centers[:, None] - (truths[:, :2] + truths[:, 2:])[None] / 2).pow(2).sum(-1).sqrt()  # (A, M)
    chosen, start = [], 0
    for level in grid.levels:
        wanted = min(candidates * level.shapes, len(level))
        chosen.append(start + away[start : start + len(level)].topk(wanted, dim=0, largest=False).indices)
        start += len(level)
    index = torch.cat(chosen)  # (candidates, M)
    overlap = iou.gather(0, index)
    positive = overlap >= overlap.mean(0) + overlap.std(0)
    sides = torch.cat([centers[index] - truths[:, :2], truths[:, 2:] - centers[index]], dim=-1)
    positive &= sides.amin(-1) > 0.01
    claimed = torch.full_like(iou, -1)
    rows = torch.arange(len(boxes)).expand_as(index)
    claimed[index[positive], rows[positive]] = overlap[positive]
    best, matched = claimed.max(dim=1)
    return torch.where(best > 0, matched, -1).numpy()
