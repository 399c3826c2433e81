"""The settings of the coder; torch and the formulas are imported on the first call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class DeltaCoder:
    """Offsets of a box from its anchor: center shift in anchor sizes, log of the size ratio (R-CNN, arXiv:1311.2524).

    The tensor twin of `anchorloc.boxes.encode_boxes` and `decode_boxes`; always computed in float32.
    """

    weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)  # factors on the offsets dx, dy, dw, dh
    max_ratio: float = 1000 / 16  # maximum ratio of a decoded side to the anchor's side (default: torchvision's)

    def __post_init__(self) -> None:
        if min(*self.weights, self.max_ratio) <= 0:
            raise ValueError(f"weights and max_ratio must be above 0, got {self.weights} and {self.max_ratio}")

    def encode(self, boxes: Tensor, anchors: Tensor) -> Tensor:
        """Return the (N, 4) deltas that take `anchors` (N, 4) to `boxes` (N, 4) of positive size."""
        from anchorloc.detector.coder import encode_deltas

        return encode_deltas(boxes, anchors, self.weights)

    def decode(self, deltas: Tensor, anchors: Tensor) -> Tensor:
        """Return the (..., 4) boxes that `deltas` (..., 4) make of `anchors` (..., 4)."""
        from anchorloc.detector.coder import decode_deltas

        return decode_deltas(deltas, anchors, self.weights, self.max_ratio)
