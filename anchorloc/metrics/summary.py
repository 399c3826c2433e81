"""COCO's 12 numbers, from the precision and recall arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from anchorloc.metrics.matching import AREAS, IOU_THRESHOLDS
from anchorloc.metrics.scores import Scores, mean_of_known


@dataclass(frozen=True)
class CocoSummary:
    """COCO's 12 numbers, means over the classes with ground truth; None where no class has any."""

    ap: float | None  # mean over IoU 0.50:0.05:0.95
    ap50: float | None
    ap75: float | None
    ap_small: float | None  # boxes of area up to 32² px
    ap_medium: float | None
    ap_large: float | None  # boxes of area from 96² px
    ar: tuple[float | None, ...]  # at each of max_detections
    ar_small: float | None
    ar_medium: float | None
    ar_large: float | None
    max_detections: tuple[int, ...]

    def named(self) -> dict[str, float | None]:
        """Return the numbers under COCO's names, in COCO's order: AP, AP50, ..., AR1, AR10, AR100, ..., ARl."""
        recalls = {f"AR{count}": recall for count, recall in zip(self.max_detections, self.ar, strict=True)}
        return {
            "AP": self.ap,
            "AP50": self.ap50,
            "AP75": self.ap75,
            "APs": self.ap_small,
            "APm": self.ap_medium,
            "APl": self.ap_large,
            **recalls,
            "ARs": self.ar_small,
            "ARm": self.ar_medium,
            "ARl": self.ar_large,
        }


def summarize(scores: Scores, max_detections: Sequence[int]) -> CocoSummary:
    """Return the 12 numbers; AP is at the last of `max_detections`.

    `COCOeval.summarize` returns -1 for limits other than (1, 10, 100) (cocoapi#33); for these the two agree to the
    last bit.
    """
    at = {area: index for index, area in enumerate(AREAS)}

    def ap(area: str = "all", iou: float | None = None) -> float | None:
        precision = scores.precision if iou is None else scores.precision[[IOU_THRESHOLDS.index(iou)]]
        return mean_of_known(precision[..., at[area]])

    def ar(area: str = "all", count: int = -1) -> float | None:
        return mean_of_known(scores.recall[..., at[area], count])

    return CocoSummary(
        ap=ap(),
        ap50=ap(iou=0.5),
        ap75=ap(iou=0.75),
        ap_small=ap("small"),
        ap_medium=ap("medium"),
        ap_large=ap("large"),
        ar=tuple(ar(count=index) for index in range(len(max_detections))),
        ar_small=ar("small"),
        ar_medium=ar("medium"),
        ar_large=ar("large"),
        max_detections=tuple(max_detections),
    )
