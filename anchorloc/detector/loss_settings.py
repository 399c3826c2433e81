"""The losses to choose from; torch and the formulas are imported on the first call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from anchorloc.detector.part_protocols import BoxLossProtocol, ClassLossProtocol

if TYPE_CHECKING:
    from torch import Tensor

    from anchorloc.detector.batch import Batch
    from anchorloc.detector.coder import Coder
    from anchorloc.detector.predictions import Predictions


@dataclass(frozen=True)
class FocalLoss:
    """Focal loss (arXiv:1708.02002): cross-entropy with less weight on easy anchors."""

    alpha: float = 0.25  # weight of positives, against 1 - alpha of the background
    gamma: float = 2.0  # exponent that lowers the weight of easy anchors
    background_class: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 0 <= self.alpha <= 1 or self.gamma < 0:
            raise ValueError(f"need 0 <= alpha <= 1 and gamma >= 0, got {self.alpha} and {self.gamma}")

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the elementwise loss of `logits` for `targets`, which are above 0 at the class of a positive."""
        from anchorloc.detector.class_losses import focal_loss

        return focal_loss(logits, targets, self.alpha, self.gamma)

    def total(self, logits: Tensor, batch: Batch, quality: Tensor) -> Tensor:
        """Return the sum over the logits (B, A, C); `quality` (P,) is unused."""
        from anchorloc.detector.class_losses import focal_total

        return focal_total(self, logits, batch, quality.new_ones(quality.shape), self.gamma, 1 - self.alpha)


@dataclass(frozen=True)
class QualityFocalLoss:
    """Quality focal loss (arXiv:2006.04388): the score of a positive learns the IoU of its predicted box."""

    beta: float = 2.0  # exponent that lowers the weight of anchors whose score is near its target
    background_class: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.beta < 0:
            raise ValueError(f"beta must not be negative, got {self.beta}")

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the elementwise loss of `logits` for `targets`, the IoU at the class of a positive, else 0."""
        from anchorloc.detector.class_losses import quality_focal_loss

        return quality_focal_loss(logits, targets, self.beta)

    def total(self, logits: Tensor, batch: Batch, quality: Tensor) -> Tensor:
        """Return the sum over the logits (B, A, C); `quality` (P,) is the target score of each positive."""
        from anchorloc.detector.class_losses import focal_total

        return focal_total(self, logits, batch, quality, self.beta)


@dataclass(frozen=True)
class HardNegativeLoss:
    """Cross-entropy over classes and background on the positives and the hardest negatives of each image.

    There are `negative_to_positive_ratio` negatives per positive (SSD, arXiv:1512.02325, section 2.2). An image without
    a positive has no loss.
    """

    negative_to_positive_ratio: float = 3.0  # hard negatives per positive of an image
    background_class: ClassVar[bool] = True  # needs a head with a logit of the background

    def __post_init__(self) -> None:
        if self.negative_to_positive_ratio < 0:
            raise ValueError(f"negative_to_positive_ratio must not be negative, got {self.negative_to_positive_ratio}")

    def total(self, logits: Tensor, batch: Batch, quality: Tensor) -> Tensor:
        """Return the sum over the positives and hard negatives among the logits (B, A, 1 + C); `quality` is unused."""
        from anchorloc.detector.class_losses import hard_negative_total

        return hard_negative_total(logits, batch, self.negative_to_positive_ratio)


@dataclass(frozen=True)
class SmoothL1Loss:
    """Huber loss of the offsets (Fast R-CNN, arXiv:1504.08083), summed over the four."""

    beta: float = 1 / 9  # error below which the loss is quadratic; 0 gives L1

    def __post_init__(self) -> None:
        if self.beta < 0:
            raise ValueError(f"beta must not be negative, got {self.beta}")

    def __call__(self, deltas: Tensor, boxes: Tensor, anchors: Tensor, coder: Coder) -> Tensor:
        """Return the (P,) loss."""
        from anchorloc.detector.box_losses import smooth_l1_loss

        return smooth_l1_loss(deltas, coder.encode(boxes, anchors), self.beta)


@dataclass(frozen=True)
class MSELoss:
    """Squared error of the offsets (R-CNN, arXiv:1311.2524, appendix C), summed over the four."""

    def __call__(self, deltas: Tensor, boxes: Tensor, anchors: Tensor, coder: Coder) -> Tensor:
        """Return the (P,) loss."""
        from anchorloc.detector.box_losses import mse_loss

        return mse_loss(deltas, coder.encode(boxes, anchors))


@dataclass(frozen=True)
class GIoULoss:
    """1 - GIoU of decoded and true box (arXiv:1902.09630)."""

    def __call__(self, deltas: Tensor, boxes: Tensor, anchors: Tensor, coder: Coder) -> Tensor:
        """Return the (P,) loss."""
        from anchorloc.detector.box_losses import giou_loss

        return giou_loss(coder.decode(deltas, anchors), boxes)


@dataclass(frozen=True)
class DIoULoss:
    """1 - IoU + the distance of the centers, squared, in diagonals of the enclosing box (arXiv:1911.08287)."""

    def __call__(self, deltas: Tensor, boxes: Tensor, anchors: Tensor, coder: Coder) -> Tensor:
        """Return the (P,) loss."""
        from anchorloc.detector.box_losses import diou_loss

        return diou_loss(coder.decode(deltas, anchors), boxes)


@dataclass(frozen=True)
class CIoULoss:
    """DIoU with a term for the aspect ratio (arXiv:1911.08287, section 3.3)."""

    def __call__(self, deltas: Tensor, boxes: Tensor, anchors: Tensor, coder: Coder) -> Tensor:
        """Return the (P,) loss."""
        from anchorloc.detector.box_losses import ciou_loss

        return ciou_loss(coder.decode(deltas, anchors), boxes)


@dataclass(frozen=True)
class Criterion:
    """The losses, each divided by the number of positives, or the sum of their alignment (at least 1)."""

    classification: FocalLoss | QualityFocalLoss | HardNegativeLoss | ClassLossProtocol = QualityFocalLoss()
    box: GIoULoss | DIoULoss | CIoULoss | SmoothL1Loss | MSELoss | BoxLossProtocol = GIoULoss()
    box_weight: float = 2.0  # weight of the box loss
    iou_branch_weight: float = 1.0  # weight of the loss of the IoU branch (detector.head.iou_branch)

    def __post_init__(self) -> None:
        if self.box_weight < 0 or self.iou_branch_weight < 0:
            raise ValueError(
                "box_weight and iou_branch_weight must not be negative, "
                f"got {self.box_weight} and {self.iou_branch_weight}"
            )

    def __call__(
        self, predictions: Predictions, batch: Batch, coder: Coder, positives: float | None = None
    ) -> dict[str, Tensor]:
        """Return {"classification": (), "box": ()}, and "iou" where it is predicted.

        With no positive the last two are exactly 0, with gradients.

        Args:
            positives: what to divide by, where `batch` is a part of one; else `batch.weight`, but at least 1.
        """
        from anchorloc.detector.losses import batch_losses

        return batch_losses(self, predictions, batch, coder, positives)
