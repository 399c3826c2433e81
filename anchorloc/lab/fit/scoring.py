"""Measure how much better fitted anchors are on held-out images, and how certain that is."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from anchorloc.config import Config
from anchorloc.lab.anchor_coverage import AnchorCoverage, mean_recall, measure_coverage, recall_of_box
from anchorloc.lab.fit.box_offsets import BoxOffsets
from anchorloc.lab.fit.search import ShapeSet
from anchorloc.lab.network_views import NetworkViews
from anchorloc.metrics import image_weights
from anchorloc.structures import Float64Array, IntArray

DRAWS = 2000  # bootstrap resamples of the held-out images
CONFIDENCE = 0.95
MIN_CLASS_BOXES = 20  # a class with fewer boxes can lose recall by chance


@dataclass(frozen=True)
class RecallGain:
    """The difference of two mean recalls on the same boxes, with its CONFIDENCE interval."""

    value: float
    low: float
    high: float

    @property
    def within_noise(self) -> bool:
        """Return whether the interval includes 0."""
        return self.low <= 0 <= self.high


def coverage_with(views: NetworkViews, config: Config) -> AnchorCoverage:
    """Return the coverage of the images of `views` under another config."""
    return measure_coverage(replace(views, config=config), rescue_curve=False)


def class_recalls(coverage: AnchorCoverage) -> tuple[Float64Array, IntArray]:
    """Return the mean recall of each class (C,), 1 if it has no box, and the number of its boxes (C,)."""
    boxes, classes = coverage.boxes, len(coverage.views.source.categories)
    counts = np.bincount(boxes.labels, minlength=classes)
    sums = np.bincount(boxes.labels, recall_of_box(boxes.exclusive_iou), classes)
    return np.where(counts, sums / np.maximum(counts, 1), 1.0), counts


def class_losses(current: AnchorCoverage, fitted: AnchorCoverage) -> tuple[Float64Array, IntArray]:
    """Return the mean recall that each class loses from `current` to `fitted` (C,), and its number of boxes (C,)."""
    before, counts = class_recalls(current)
    after, _ = class_recalls(fitted)
    return before - after, counts


def recall_gain(fitted: AnchorCoverage, current: AnchorCoverage, seed: int) -> RecallGain:
    """Return by how much the mean recall of `fitted` is higher, with a paired bootstrap over images."""
    images = current.boxes.images
    difference = recall_of_box(fitted.boxes.exclusive_iou) - recall_of_box(current.boxes.exclusive_iou)
    count = current.images
    sums, boxes = np.bincount(images, difference, count), np.bincount(images, minlength=count)
    weights = image_weights(count, DRAWS, (seed, 1))
    draws = [float(times @ sums) / max(1, int(times @ boxes)) for times in weights]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(draws, (tail, 1 - tail)).tolist()
    return RecallGain(float(sums.sum()) / max(1, int(boxes.sum())), low, high)


@dataclass(frozen=True)
class FitSpread:
    """How much fits differ that were made with other seeds or on other images."""

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
