"""The settings of the task-aligned assigner; torch is imported on the first call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from anchorloc.assign import Assigner, ATSSAssigner
from anchorloc.detector.coder_settings import DeltaCoder
from anchorloc.structures import AnchorGrid, Assignment, BoolArray, FloatArray

if TYPE_CHECKING:
    from anchorloc.detector.batch import Batch
    from anchorloc.detector.predictions import Predictions


@dataclass(frozen=True)
class TaskAlignedAssigner:
    """Task alignment learning (TOOD, arXiv:2108.07755, section 3.2).

    Of the anchors with their center in a box, the `topk` of greatest score**alpha * IoU**beta are its positives, by
    the score and the decoded box that they predict now. (MMDetection takes the best of all anchors first, then keeps
    the ones with their center in the box.)

    The score of a positive learns its alignment: that product, scaled so that the best positive of a box learns the
    greatest IoU among them. Its box loss is weighted by the alignment. An anchor that several boxes claim goes to the
    one that its decoded box overlaps most.

    The `initial` assigner chooses the ignored anchors, before the network runs. The lab shows `untrained`.
    """

    topk: int = 13  # maximum number of positive anchors per box
    alpha: float = 1.0  # exponent of the score
    beta: float = 6.0  # exponent of the IoU
    initial: Assigner = ATSSAssigner()  # assigner that chooses the ignored anchors

    def __post_init__(self) -> None:
        if self.topk < 1 or min(self.alpha, self.beta) < 0:
            raise ValueError(
                f"need topk >= 1 and alpha and beta of at least 0, got {self.topk}, {self.alpha} and {self.beta}"
            )

    def __call__(self, predictions: Predictions, batch: Batch, grid: AnchorGrid, coder: DeltaCoder) -> Batch:
        """Return `batch` with its positives chosen anew; ignored anchors stay ignored unless they become positive."""
        from anchorloc.detector.task_aligned import reassign

        return reassign(self, predictions, batch, grid, coder)

    def untrained(self, grid: AnchorGrid, boxes: FloatArray, crowd: BoolArray) -> Assignment:
        """Return the assignment to boxes (M, 4) while all scores are equal and every decoded box is its anchor."""
        from anchorloc.detector.untrained_alignment import assign_untrained

        return assign_untrained(self, grid, boxes, crowd)
