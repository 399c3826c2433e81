"""Select the fitted anchors with the best recall among those for which no class gets worse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from anchorloc.anchors import AnchorGenerator
from anchorloc.config import Config
from anchorloc.data import Annotations, AnnotationSubset
from anchorloc.lab.anchor_coverage import AnchorCoverage, coverage_with
from anchorloc.lab.fit.fit_split import has_boxes
from anchorloc.lab.fit.scoring import MAX_CLASS_LOSS, losing_classes
from anchorloc.lab.fit.search import ShapeSearch
from anchorloc.lab.network_views import NetworkViews
from anchorloc.structures import BoolArray

MAX_IMAGES = 300  # train images on which candidates are compared
MAX_ROUNDS = 5  # search rounds; each doubles the weight of the classes that lost more in the round before

RunSearch = Callable[[ShapeSearch], tuple[AnchorGenerator, ...]]


@dataclass(frozen=True, eq=False)
class ScoredAnchors:
    """Anchors that a search found, and their coverage of train images."""

    anchors: AnchorGenerator
    score: float  # mean recall + fraction of boxes that the assigner assigns
    class_loss: float  # mean recall that classes lose beyond MAX_CLASS_LOSS, summed
    losing_classes: BoolArray  # (C,)

    @property
    def rank(self) -> tuple[float, float]:
        """Return a sort key: first the least class loss, then the greatest score."""
        return -self.class_loss, self.score


@dataclass(frozen=True, eq=False)
class ClassGuard:
    """Compares anchors with the anchors of the config, class by class, on a sample of train images."""

    views: NetworkViews
    current: AnchorCoverage

    @classmethod
    def draw_images(cls, config: Config, train: Annotations, passes: int, seed: int) -> ClassGuard:
        """Draw at most MAX_IMAGES train images with boxes, and measure the anchors of the config on them."""
        usable = np.flatnonzero(has_boxes(train))
        part = AnnotationSubset(train, np.random.default_rng((seed, 4)).permutation(usable)[:MAX_IMAGES])
        views = NetworkViews(config, part, min(passes, 1))
        return cls(views, coverage_with(views, config))

    def evaluate(self, anchors: AnchorGenerator) -> ScoredAnchors:
        """Measure `anchors` on the images."""
        found = coverage_with(self.views, replace(self.views.config, anchors=anchors))
        losses, losing = losing_classes(self.current, found)
        class_loss = float(np.where(losing, losses - MAX_CLASS_LOSS, 0).sum())
        return ScoredAnchors(anchors, found.mean_recall + found.assigned, class_loss, losing)


def select_anchors(
    search: ShapeSearch, guard: ClassGuard, run: RunSearch
) -> tuple[AnchorGenerator, ShapeSearch, tuple[AnchorGenerator, ...]]:
    """Search, and search again with more weight on losing classes, until no class loses or MAX_ROUNDS are over.

    Returns:
        The best anchors, the search with the weights of its round, and all anchors found in that round.
    """
    rounds = []
    for _ in range(MAX_ROUNDS):
        found = run(search)
        best = max(map(guard.evaluate, found), key=lambda one: one.rank)
        rounds.append((best, search, found))
        if not best.losing_classes.any():
            break
        raised = np.where(best.losing_classes[search.boxes.labels], np.float32(2), np.float32(1))
        search = replace(search, weights=search.weights * raised)
    best, search, found = max(rounds, key=lambda one: one[0].rank)
    return best.anchors, search, found
