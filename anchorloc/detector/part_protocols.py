"""What a backbone and the losses of the user's own must be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from anchorloc.detector.batch import Batch
    from anchorloc.detector.coder import Coder
    from anchorloc.detector.layers import Backbone


class BackboneProtocol(Protocol):
    """A backbone is called with pretrained=True or False and returns a torch.nn.Module with channels and strides,
    tuples of whole numbers, that maps images (B, 3, H, W) to a list of maps (B, channels[i], ceil(H / strides[i]),
    ceil(W / strides[i])), fine to coarse.

    The images are float32 and normalized by `detector.mean` and `detector.std`. With pretrained=False, as when a
    checkpoint brings the weights, it must not download any.
    """

    def __call__(self, *, pretrained: bool = True) -> Backbone:
        """Return the network; it need not inherit from `Backbone`."""


class ClassLossProtocol(Protocol):
    """A classification loss has background_class, true or false, and total(logits, batch, quality), which returns the
    sum of the loss over the logits (B, A, C) as a finite tensor () with a gradient; with background_class they are
    (B, A, 1 + C).

    `batch` is a `Batch`: positives (P,) and ignored (I,) are places among the B * A anchors, labels (P,) the classes of
    the positives. `quality` (P,) is the IoU of the box that each positive predicts, from 0 to 1. The sum is divided
    elsewhere by the number of positives. With no positive it must work too.
    """

    @property
    def background_class(self) -> bool:
        """Whether the first logit of an anchor is the background."""

    def total(self, logits: Tensor, batch: Batch, quality: Tensor) -> Tensor:
        """Return the loss, summed over anchors and classes."""


class BoxLossProtocol(Protocol):
    """A box loss takes deltas (P, 4), boxes (P, 4), anchors (P, 4) and a coder, and returns the finite loss (P,) of
    each positive anchor with a gradient.

    `boxes` and `anchors` are xyxy in pixels; coder.decode(deltas, anchors) gives the predicted boxes, and
    coder.encode(boxes, anchors) the deltas to learn. P may be 0.
    """

    def __call__(self, deltas: Tensor, boxes: Tensor, anchors: Tensor, coder: Coder) -> Tensor:
        """Return the loss of each positive."""
