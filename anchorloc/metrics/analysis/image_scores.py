"""The score of each image, and how well boxes are localized."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anchorloc.metrics.analysis.error_types import Errors
from anchorloc.metrics.analysis.matched import MatchedDetections
from anchorloc.metrics.analysis.nearest_boxes import NearestBoxes
from anchorloc.structures import BoolArray, IntArray


@dataclass(frozen=True)
class ImageScore:
    """The counts of one image at IoU 0.5 and the score threshold."""

    index: int  # in the data set
    boxes: int  # boxes to find
    true_positives: int  # boxes with a true positive
    false_positives: int  # false positives

    @property
    def f1(self) -> float:
        """Return F1, which is 1 for an image without boxes and detections."""
        total = self.boxes + self.true_positives + self.false_positives
        return 2 * self.true_positives / total if total else 1.0

    @property
    def errors(self) -> int:
        """Count the boxes not found and the false positives."""
        return self.boxes - self.true_positives + self.false_positives


@dataclass(frozen=True)
class BoxQuality:
    """How tightly detections fit their boxes."""

    class_corloc: float | None  # share of (image, class) pairs whose top-scored detection has IoU >= 0.5 with a box
    mean_iou: float | None  # mean over boxes of the best IoU with a detection of the class, 0 where there is none
    found_iou: float | None  # mean IoU of the true positives above the score threshold


def image_scores(matched: MatchedDetections, errors: Errors) -> tuple[ImageScore, ...]:
    """Score every image, in the order of the data set."""
    kept = errors.kept & matched.counted

    def per_image(images: IntArray, chosen: BoolArray) -> list[int]:
        counts: list[int] = np.bincount(images[chosen], minlength=matched.images).tolist()
        return counts

    boxes = per_image(matched.truth.images, matched.countable_boxes)
    found = per_image(matched.detections.images, kept & matched.is_true_positive)
    wrong = per_image(matched.detections.images, kept & ~matched.is_true_positive)
    return tuple(map(ImageScore, range(matched.images), boxes, found, wrong))


def box_quality(matched: MatchedDetections, nearest: NearestBoxes, errors: Errors) -> BoxQuality:
    """Return class CorLoc and the mean IoUs; None where there is nothing to take the mean of."""
    detections, classes = matched.detections, max(1, len(matched.categories))
    pairs = np.unique((matched.truth.images * classes + matched.truth.labels)[matched.countable_boxes])
    keys = detections.images * classes + detections.labels
    ranked = np.lexsort((-detections.scores, keys))
    firsts = ranked[np.diff(keys[ranked], prepend=-1) > 0]  # the top-scored detection of each image and class
    hits = np.isin(pairs, keys[firsts[nearest.same_iou[firsts] >= 0.5]])
    true_positives = errors.kept & matched.is_true_positive
    return BoxQuality(
        class_corloc=float(hits.mean()) if len(pairs) else None,
        mean_iou=float(nearest.best_iou[matched.countable_boxes].mean()) if len(pairs) else None,
        found_iou=float(nearest.same_iou[true_positives].mean()) if true_positives.any() else None,
    )
