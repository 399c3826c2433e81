"""How good anchors are on images that they were not fitted to, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from anchorloc.config import Config
from anchorloc.lab.anchor_coverage import Survey, mean_recall, passed, survey
from anchorloc.lab.fit.box_offsets import Float64Array, Sites
from anchorloc.lab.fit.search import Layout
from anchorloc.lab.network_views import Views
from anchorloc.structures import IntArray

DRAWS = 2000  # of the held-out images, for the interval of the gain
INTERVAL = 0.95
LEAST_BOXES = 20  # of a class, for what it loses to be no accident


@dataclass(frozen=True, eq=False)
class Score:
    """What the assigner of a config does with the held-out images."""

    survey: Survey

    @property
    def recall(self) -> float:
        """The mean over IoU 0.50 to 0.90 of the share of boxes that max-IoU assigns without rescue."""
        return self.survey.mean_recall

    @property
    def anchors(self) -> float:
        """In the mean image."""
        return self.survey.anchors / max(1, self.survey.images)


@dataclass(frozen=True)
class Gain:
    """The difference of two mean recalls on the same boxes, with an interval of INTERVAL."""

    value: float
    low: float
    high: float

    @property
    def within_noise(self) -> bool:
        """Whether the interval holds 0."""
        return self.low <= 0 <= self.high


def score(views: Views, config: Config) -> Score:
    """Assign the images of `views` with the anchors and the assigner of `config`."""
    return Score(survey(replace(views, config=config), rescue_curve=False))


def class_recalls(score: Score, classes: int) -> tuple[Float64Array, IntArray]:
    """Return the mean recall of each class (C,), 1 where it has no box, and how many boxes it has (C,)."""
    boxes = score.survey.boxes
    counts = np.bincount(boxes.labels, minlength=classes)
    sums = np.bincount(boxes.labels, passed(boxes.owned_iou), classes)
    return np.where(counts, sums / np.maximum(counts, 1), 1.0), counts


def class_losses(own: Score, fitted: Score, classes: int) -> tuple[Float64Array, IntArray]:
    """Return how much of its mean recall each class (C,) loses from `own` to `fitted`, and its boxes (C,)."""
    before, counts = class_recalls(own, classes)
    after, _ = class_recalls(fitted, classes)
    return before - after, counts


def gain_of(fitted: Score, own: Score, seed: int) -> Gain:
    """Return what `fitted` has more than `own`, by a paired bootstrap over images, each counted as often as drawn."""
    images = own.survey.boxes.images
    difference = passed(fitted.survey.boxes.owned_iou) - passed(own.survey.boxes.owned_iou)  # of the same boxes
    count = own.survey.images
    sums, boxes = np.bincount(images, difference, count), np.bincount(images, minlength=count)
    random = np.random.default_rng((seed, 1))
    draws = []
    for _ in range(DRAWS):
        times = np.bincount(random.integers(0, count, count), minlength=count)
        draws.append(float(times @ sums) / max(1, int(times @ boxes)))
    tail = (1 - INTERVAL) / 2
    low, high = np.quantile(draws, (tail, 1 - tail)).tolist()
    return Gain(float(sums.sum()) / max(1, int(boxes.sum())), low, high)


@dataclass(frozen=True)
class Spread:
    """How much depends on chance."""

    recalls: tuple[float, ...]  # on the held-out boxes, each box by itself, without collisions
    likeness: float  # the median IoU of a shape with the most like it, on its level, in another of the fits


def spread_of(layouts: list[Layout], held_out: Sites) -> Spread:
    """Compare fits with each other."""
    recalls = tuple(mean_recall(held_out.best_iou(layout.levels, layout.shapes)) for layout in layouts)
    nearest = [likeness(one, other) for one in layouts for other in layouts if one is not other]
    return Spread(recalls, float(np.median(np.concatenate(nearest))) if nearest else 1.0)


def likeness(one: Layout, other: Layout) -> Float64Array:
    """(S,) for each shape of `one` the greatest IoU, on one center, with a shape of `other` on its level."""
    inter = np.minimum(one.shapes[:, None], other.shapes[None]).prod(axis=2)
    iou = inter / (one.shapes.prod(axis=1)[:, None] + other.shapes.prod(axis=1)[None] - inter)
    return np.asarray(np.where(_same(one.levels, other.levels), iou, 0).max(axis=1))


def _same(one: IntArray, other: IntArray) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    return np.asarray(one[:, None] == other[None])
