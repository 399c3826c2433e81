"""The output of the network."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Predictions(NamedTuple):
    """The output of the network for every anchor, in the order of AnchorGrid.

    With `background_class` the first logit of an anchor is the background, and its C scores come from a softmax over
    1 + C logits. Without it, each score is the sigmoid of one logit.
    """

    logits: Tensor  # (B, A, C), or (B, A, 1 + C) with `background_class`
    deltas: Tensor  # (B, A, 4)
    background_class: bool = False
    iou_logits: Tensor | None = None  # (B, A) the predicted IoU of each decoded box, before the sigmoid

    def scores(self) -> Tensor:
        """Return the (B, A, C) scores in [0, 1]."""
        scores = self.logits.softmax(dim=-1)[..., 1:] if self.background_class else self.logits.sigmoid()
        return scores if self.iou_logits is None else (scores * self.iou_logits.sigmoid()[..., None]).sqrt()
