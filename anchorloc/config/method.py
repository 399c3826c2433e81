"""The two detection methods, anchors and a single box: grid, batch, network, losses, decoding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from anchorloc.anchors import AnchorGenerator, TorchvisionAnchors, TorchvisionSSDAnchors, WholeImageAnchor
from anchorloc.anchors.anchors_protocol import AnchorsProtocol
from anchorloc.assign import Assigner, SingleObjectAssigner
from anchorloc.config.held_assigner import held
from anchorloc.detector import SingleBoxLocalizer, TaskAlignedAssigner
from anchorloc.structures import AnchorGrid, Assignment, BoolArray, Detections, FloatArray, Sample, Size

if TYPE_CHECKING:
    from torch import Tensor

    from anchorloc.config.settings import Config
    from anchorloc.detector import Batch, Collate, Detector, Predictions

BoxAssigner = Callable[[AnchorGrid, FloatArray, BoolArray], Assignment]  # boxes (M, 4), crowd (M,)


@dataclass(frozen=True)
class AnchorMethod:
    """Predict a class and an offset for every anchor."""

    config: Config
    has_anchors: ClassVar[bool] = True

    @property
    def generator(self) -> AnchorGenerator | TorchvisionAnchors | TorchvisionSSDAnchors | AnchorsProtocol:
        return self.config.anchors

    @property
    def depends_on_size(self) -> bool:
        """Return whether shapes may vary with the padded image, as SSD's do: an exported file then takes one size."""
        return type(self.config.anchors) not in (AnchorGenerator, TorchvisionAnchors)

    @property
    def assigner(self) -> Assigner:
        """The assigner of the data loader, which sees no predictions."""
        chosen = isinstance(self.config.assign, TaskAlignedAssigner)
        return held(self.config.loader_assigner, "assign.initial" if chosen else "assign")

    @property
    def untrained_assigner(self) -> BoxAssigner:
        """The assigner of the lab: `assign`, or what TaskAlignedAssigner gives to a network without training."""
        assign = self.config.assign
        if isinstance(assign, TaskAlignedAssigner):
            return replace(assign, initial=self.assigner).untrained
        return self.assigner

    def grid(self, size: Size) -> AnchorGrid:
        """Return the anchors of a padded image of (height, width)."""
        return self.generator(size)

    def collate(self, *, learns: bool = True) -> Collate:
        """Return the function that makes a batch of samples; unless it `learns`, no anchor is assigned."""
        return _collate(self, learns)

    def build(self, classes: int, *, pretrained: bool = True) -> Detector:
        """Build the network.

        Raises:
            ValueError: the network and the anchors do not fit together.
        """
        anchors = self.config.anchors
        return self.config.detector(anchors.strides, anchors.shapes_per_level, classes, pretrained=pretrained)

    def reassign(self, predictions: Predictions, batch: Batch) -> Batch:
        """Return `batch` with the positives that its predictions choose, if the assigner looks at predictions."""
        assign = self.config.assign
        if not isinstance(assign, TaskAlignedAssigner):
            return batch
        return assign(predictions, batch, self.grid(batch.size), self.config.coder)

    def losses(self, predictions: Predictions, batch: Batch, weight: float | None = None) -> dict[str, Tensor]:
        """Return the named losses of a batch that `reassign` returned.

        Args:
            weight: divides the losses in place of `batch.weight`, for micro-batches.
        """
        return self.config.loss(predictions, batch, self.config.coder, weight)

    def candidates(self, predictions: Predictions, grid: AnchorGrid, samples: Sequence[Sample]) -> list[Detections]:
        """Return the decoded boxes of each image before NMS, in original pixels."""
        decode = self.config.decoder
        candidates = decode.above_threshold(predictions.scores())
        return decode.decode(candidates, predictions.deltas, grid, samples, self.config.coder)

    def decode(self, predictions: Predictions, grid: AnchorGrid, samples: Sequence[Sample]) -> list[Detections]:
        """Return the detections of each image, in original pixels."""
        return self.config.decoder(predictions, grid, samples, self.config.coder)


@dataclass(frozen=True)
class SingleBoxMethod:
    """Predict one class and one box per image, without anchors."""

    config: Config
    localizer: SingleBoxLocalizer
    has_anchors: ClassVar[bool] = False
    depends_on_size: ClassVar[bool] = True
    generator: ClassVar[WholeImageAnchor] = WholeImageAnchor()
    assigner: ClassVar[SingleObjectAssigner] = SingleObjectAssigner()
    untrained_assigner: ClassVar[SingleObjectAssigner] = assigner

    def grid(self, size: Size) -> AnchorGrid:
        """Return the grid of one anchor, the padded image of (height, width)."""
        return self.generator(size)

    def collate(self, *, learns: bool = True) -> Collate:
        """Return the function that makes a batch of samples; unless it `learns`, no anchor is assigned."""
        return _collate(self, learns)

    def build(self, classes: int, *, pretrained: bool = True) -> Detector:
        """Build the network."""
        return self.localizer(self.config.detector, classes, pretrained=pretrained)

    def reassign(self, predictions: Predictions, batch: Batch) -> Batch:
        """Return `batch`: its one anchor per image needs no choice."""
        return batch

    def losses(self, predictions: Predictions, batch: Batch, weight: float | None = None) -> dict[str, Tensor]:
        """Return the named losses of a batch.

        Args:
            weight: divides the losses in place of the number of images with an object, for micro-batches.
        """
        return self.localizer.losses(predictions, batch, weight)

    def candidates(self, predictions: Predictions, grid: AnchorGrid, samples: Sequence[Sample]) -> list[Detections]:
        """Return the one box of each image, in original pixels."""
        return self.decode(predictions, grid, samples)

    def decode(self, predictions: Predictions, grid: AnchorGrid, samples: Sequence[Sample]) -> list[Detections]:
        """Return the one box of each image, in original pixels."""
        return self.localizer.decode(predictions, grid, samples)


def _collate(method: AnchorMethod | SingleBoxMethod, learns: bool) -> Collate:
    from anchorloc.detector.batch import Collate

    config = method.config
    return Collate(method.generator, method.assigner if learns else None, config.multiple, config.detector.fill)
