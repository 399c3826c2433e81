"""Measure how much better fitted anchors are on held-out images, and how certain that is."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from anchorloc.lab.anchor_coverage import AnchorCoverage, mean_recall, recall_of_box
from anchorloc.lab.fit.box_offsets import BoxOffsets
from anchorloc.lab.fit.search import ShapeSet
from anchorloc.metrics import image_weights
from anchorloc.metrics.evidence import NO_WIDTH, too_few
from anchorloc.structures import BoolArray, Float64Array, IntArray

DRAWS = 2000  # bootstrap resamples of the held-out images
CONFIDENCE = 0.95
MIN_CLASS_BOXES = 20  # a class with fewer boxes can lose recall by chance
MAX_CLASS_LOSS = 0.02  # mean recall that a class of MIN_CLASS_BOXES boxes may lose


@dataclass(frozen=True)
class RecallGain:
    """The difference of two mean recalls on the same boxes, with its CONFIDENCE interval.

    There is no interval from too few boxes or images, and none where all resamples agree.
    """

    value: float
    low: float | None
    high: float | None
    boxes: int
    images: int  # with a box

    @property
    def few(self) -> bool:
        """Return whether the boxes or the images are too few to show anything."""
        return too_few(self.boxes, self.images)

    @property
    def within_noise(self) -> bool:
        """Return whether the difference may be chance: the interval includes 0, or there is too little data."""
        if self.low is None or self.high is None:
            return self.few or self.value == 0
        return self.low <= 0 <= self.high


def class_recalls(coverage: AnchorCoverage) -> tuple[Float64Array, IntArray]:
    """Return the mean recall of each class (C,), 1 if it has no box, and the number of its boxes (C,)."""
    boxes, classes = coverage.boxes, len(coverage.views.source.categories)
    counts = np.bincount(boxes.labels, minlength=classes)
    sums = np.bincount(boxes.labels, recall_of_box(boxes.exclusive_iou), classes)
    return np.where(counts, sums / np.maximum(counts, 1), 1.0), counts


def losing_classes(current: AnchorCoverage, fitted: AnchorCoverage) -> tuple[Float64Array, BoolArray]:
    """Return the mean recall that each class loses from `current` to `fitted` (C,), and whether that is too much (C,).

    Too much is over MAX_CLASS_LOSS, for a class of at least MIN_CLASS_BOXES boxes.
    """
    before, counts = class_recalls(current)
    losses = before - class_recalls(fitted)[0]
    return losses, (losses > MAX_CLASS_LOSS) & (counts >= MIN_CLASS_BOXES)


def recall_gain(fitted: AnchorCoverage, current: AnchorCoverage, seed: int) -> RecallGain:
    """Return by how much the mean recall of `fitted` is higher, with a paired bootstrap over images."""
    images = current.boxes.images
    difference = recall_of_box(fitted.boxes.exclusive_iou) - recall_of_box(current.boxes.exclusive_iou)
    count = current.images
    sums, boxes = np.bincount(images, difference, count), np.bincount(images, minlength=count)
    value = float(sums.sum()) / max(1, int(boxes.sum()))
    known = RecallGain(value, None, None, int(boxes.sum()), int((boxes > 0).sum()))
    if known.few:
        return known
    weights = image_weights(count, DRAWS, (seed, 1))
    draws = [float(times @ sums) / int(times @ boxes) for times in weights if times @ boxes]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(draws, (tail, 1 - tail)).tolist()
    return replace(known, low=low, high=high) if high - low > NO_WIDTH else known


@dataclass(frozen=True)
class FitSpread:
    """How much fits with different seeds or images differ."""

    recalls: tuple[float, ...]  # mean recall on the held-out boxes, each box alone, so without collisions
    shape_similarity: float  # median over shapes of the IoU with the most similar shape of another fit


def fit_spread(fits: list[ShapeSet], held_out: BoxOffsets) -> FitSpread:
    """Return how much fits differ from each other."""
    recalls = tuple(mean_recall(held_out.best_iou(one.levels, one.shapes)) for one in fits)
    nearest = [shape_similarity(one, other) for one in fits for other in fits if one is not other]
    return FitSpread(recalls, float(np.median(np.concatenate(nearest))) if nearest else 1.0)


def shape_similarity(one: ShapeSet, other: ShapeSet) -> Float64Array:
    """Return for each shape (S,) of `one` the greatest IoU with a shape of `other` on its level, centers aligned."""
    inter = np.minimum(one.shapes[:, None], other.shapes[None]).prod(axis=2)
    iou = inter / (one.shapes.prod(axis=1)[:, None] + other.shapes.prod(axis=1)[None] - inter)
    same_level = one.levels[:, None] == other.levels[None]
    return np.asarray(np.where(same_level, iou, 0).max(axis=1))
