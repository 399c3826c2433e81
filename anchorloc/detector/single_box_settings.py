"""The settings of the single-box baseline; torch and the layers are imported on the first call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from anchorloc.detector.detector_settings import DetectorSettings
from anchorloc.detector.loss_settings import MSELoss, SmoothL1Loss
from anchorloc.structures import AnchorGrid, Detections, Sample

if TYPE_CHECKING:
    from torch import Tensor

    from anchorloc.detector.batch import Batch
    from anchorloc.detector.model import Detector
    from anchorloc.detector.predictions import Predictions


@dataclass(frozen=True)
class SingleBoxLocalizer:
    """Pool the last map, apply one hidden layer, and predict a normalized box and class logits.

    The rest of the engine sees a network with one anchor, the whole image, which is assigned to the one object.
    """

    pool: int = 1  # cells per side that the last map is averaged to; 1 is global pooling
    hidden: int = 256  # units of the hidden layer
    box: SmoothL1Loss | MSELoss = SmoothL1Loss()  # loss of center and size, as fractions of the image
    box_weight: float = 10.0  # weight of the box loss; the class loss has 1

    def __post_init__(self) -> None:
        if self.pool < 1 or self.hidden < 1 or self.box_weight < 0:
            raise ValueError(
                f"need pool >= 1, hidden >= 1 and box_weight >= 0, got {self.pool}, {self.hidden} and {self.box_weight}"
            )

    def __call__(self, settings: DetectorSettings, classes: int, *, pretrained: bool = True) -> Detector:
        """Build the network on the backbone and colors of `settings`."""
        from anchorloc.detector.single_box import build

        return build(self, settings, classes, pretrained)

    def losses(self, predictions: Predictions, batch: Batch, images: float | None = None) -> dict[str, Tensor]:
        """Return {"classification": (), "box": ()}; an image whose object was cropped away has no part in them.

        Args:
            images: what to divide by, where several processes share a batch; else those with an object.
        """
        from anchorloc.detector.single_box import losses

        return losses(self, predictions, batch, images)

    def decode(self, predictions: Predictions, grid: AnchorGrid, samples: Sequence[Sample]) -> list[Detections]:
        """Return the one box of each image, in original pixels; its score is the probability of its class."""
        from anchorloc.detector.single_box import decode

        return decode(predictions, grid, samples)
