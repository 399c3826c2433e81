"""Each image by itself: for the gallery, and to sort by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anchorloc.metrics.analysis.errors import Errors
from anchorloc.metrics.analysis.matched import Case
from anchorloc.metrics.analysis.nearest import Nearest
from anchorloc.structures import BoolArray, IntArray


@dataclass(frozen=True)
class ImageScore:
    """One image at IoU 0.5 and the score threshold."""

    index: int  # in the data set
    boxes: int  # to find
    found: int
    wrong: int  # detections

    @property
    def f1(self) -> float:
        """1 too where there is nothing to find and nothing was."""
        return 2 * self.found / (self.boxes + self.found + self.wrong) if self.boxes + self.wrong else 1.0

    @property
    def errors(self) -> int:
        """Boxes not found and wrong detections."""
        return self.boxes - self.found + self.wrong


@dataclass(frozen=True)
class Localization:
    """How well the surest detection and the best one of each box lie."""

    corloc: float | None  # share of the pairs of image and class whose surest detection has IoU 0.5 with such a box
    mean_iou: float | None  # of every box with its best detection of the same class, 0 where there is none
    found_iou: float | None  # of the detections that find a box, above the score threshold


def image_scores(case: Case, errors: Errors) -> tuple[ImageScore, ...]:
    """Score every image, in the order of the data set."""
    kept = errors.kept & case.counts

    def per_image(images: IntArray, chosen: BoolArray) -> list[int]:
        counts: list[int] = np.bincount(images[chosen], minlength=case.images).tolist()
        return counts

    boxes = per_image(case.truth.images, case.to_find)
    found = per_image(case.detections.images, kept & (case.matched >= 0))
    wrong = per_image(case.detections.images, kept & (case.matched < 0))
    return tuple(map(ImageScore, range(case.images), boxes, found, wrong))


def localization(case: Case, near: Nearest, errors: Errors) -> Localization:
    """Return the numbers of a localizer."""
    detections, classes = case.detections, max(1, len(case.categories))
    pairs = np.unique((case.truth.images * classes + case.truth.labels)[case.to_find])
    keys = detections.images * classes + detections.labels
    ranked = np.lexsort((-detections.scores, keys))
    firsts = ranked[np.diff(keys[ranked], prepend=-1) > 0]  # the surest of each image and class
    hits = np.isin(pairs, keys[firsts[near.same_iou[firsts] >= 0.5]])
    right = errors.kept & (case.matched >= 0)
    return Localization(
        corloc=float(hits.mean()) if len(pairs) else None,
        mean_iou=float(near.best_iou[case.to_find].mean()) if len(pairs) else None,
        found_iou=float(near.same_iou[right].mean()) if right.any() else None,
    )
