"""Encode boxes as offsets from anchors, and decode them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from anchorloc.detector.device_copy import copied_to


class Coder(Protocol):
    """Encode boxes as regression targets, and decode them."""

    def encode(self, boxes: Tensor, anchors: Tensor) -> Tensor:
        """Return regression targets (N, 4)."""

    def decode(self, deltas: Tensor, anchors: Tensor) -> Tensor:
        """Return (..., 4) boxes."""


def encode_deltas(boxes: Tensor, anchors: Tensor, weights: Sequence[float]) -> Tensor:
    """Return the (N, 4) deltas that take `anchors` (N, 4) to `boxes` (N, 4); see `DeltaCoder`."""
    center, size = _center_size(boxes.float())
    anchor_center, anchor_size = _center_size(anchors.float())
    deltas = torch.cat([(center - anchor_center) / anchor_size, torch.log(size / anchor_size)], dim=-1)
    return deltas * copied_to(deltas.device, torch.tensor(weights))


def decode_deltas(deltas: Tensor, anchors: Tensor, weights: Sequence[float], max_ratio: float) -> Tensor:
    """Return the (..., 4) boxes that `deltas` (..., 4) make of `anchors` (..., 4); see `DeltaCoder`."""
    deltas = deltas.float() / copied_to(deltas.device, torch.tensor(weights))
    anchor_center, anchor_size = _center_size(anchors.float())
    center = anchor_center + deltas[..., :2] * anchor_size
    half = 0.5 * anchor_size * torch.exp(deltas[..., 2:].clamp(max=math.log(max_ratio)))
    return torch.cat([center - half, center + half], dim=-1)


@dataclass(frozen=True)
class NormalizedCoder:
    """Center and size of a box as fractions of its anchor, from the top left: (0.5, 0.5, 1, 1) is the anchor."""

    def encode(self, boxes: Tensor, anchors: Tensor) -> Tensor:
        """Return the (N, 4) numbers that take `anchors` (N, 4) to `boxes` (N, 4)."""
        center, size = _center_size(boxes.float())
        _, anchor_size = _center_size(anchors.float())
        return torch.cat([(center - anchors[..., :2]) / anchor_size, size / anchor_size], dim=-1)

    def decode(self, deltas: Tensor, anchors: Tensor) -> Tensor:
        """Return the (..., 4) boxes that `deltas` (..., 4) make of `anchors` (..., 4)."""
        _, anchor_size = _center_size(anchors.float())
        center = anchors[..., :2] + deltas[..., :2].float() * anchor_size
        half = 0.5 * deltas[..., 2:].float() * anchor_size
        return torch.cat([center - half, center + half], dim=-1)


def _center_size(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Split (..., 4) xyxy into centers (..., 2) and sizes (..., 2)."""
    low, high = boxes[..., :2], boxes[..., 2:]
    return (low + high) / 2, high - low
