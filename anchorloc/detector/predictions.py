"""What the network says, on its way to the losses and to the decoder."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Predictions(NamedTuple):
    """What the network says of every anchor, in the order of AnchorGrid.

    With `background` the first logit of an anchor stands for nothing, and its C scores are a softmax over all 1 + C;
    without, each class has a sigmoid of its own.
    """

    logits: Tensor  # (B, A, C), or (B, A, 1 + C) with `background`
    deltas: Tensor  # (B, A, 4)
    background: bool = False
    quality: Tensor | None = None  # (B, A) logits of the IoU that each box will have

    def scores(self) -> Tensor:
        """Return the (B, A, C) scores in [0, 1]."""
        scores = self.logits.softmax(dim=-1)[..., 1:] if self.background else self.logits.sigmoid()
        return scores if self.quality is None else (scores * self.quality.sigmoid()[..., None]).sqrt()
