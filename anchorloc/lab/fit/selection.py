"""Which of the anchors that were searched are taken: those that serve the boxes best without giving up a class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from anchorloc.anchors import AnchorGenerator
from anchorloc.config import Config
from anchorloc.data import Annotations, AnnotationSubset
from anchorloc.lab.fit.fit_split import learnable
from anchorloc.lab.fit.scoring import LEAST_BOXES, Score, class_losses, score
from anchorloc.lab.fit.search import Problem
from anchorloc.lab.network_views import Views
from anchorloc.structures import BoolArray

MOST_JUDGED = 300  # train images on which the assigner chooses
MOST_LOSS = 0.02  # of the mean recall of a class of LEAST_BOXES: what the gain of others may cost it
MOST_ROUNDS = 5  # of searches, in each of which the classes that lost more weigh twice as much as before


@dataclass(frozen=True, eq=False)
class Judge:
    """Train images, and what the anchors of the config give on them."""

    views: Views
    own: Score

    @classmethod
    def of(cls, config: Config, train: Annotations, passes: int, seed: int) -> Judge:
        """Draw the images."""
        busy = np.flatnonzero(learnable(train))
        part = AnnotationSubset(train, np.random.default_rng((seed, 4)).permutation(busy)[:MOST_JUDGED])
        views = Views(config, part, min(passes, 1))
        return cls(views, score(views, config))

    def verdict(self, anchors: AnchorGenerator) -> Verdict:
        """Let the assigner of the config judge."""
        found = score(self.views, replace(self.views.config, anchors=anchors))
        losses, boxes = class_losses(self.own, found, len(self.views.source.categories))
        losing = (losses > MOST_LOSS) & (boxes >= LEAST_BOXES)
        excess = float(np.where(losing, losses - MOST_LOSS, 0).sum())
        return Verdict(anchors, found.recall + found.survey.assigned, excess, losing)


@dataclass(frozen=True, eq=False)
class Verdict:
    """What anchors are worth on the train images."""

    anchors: AnchorGenerator
    merit: float  # the mean recall, and the share of boxes that the assigner gives an anchor
    excess: float  # what classes lose past what they may
    losing: BoolArray  # (C,) these classes

    @property
    def rank(self) -> tuple[float, float]:
        """Least loss of a class first, then merit."""
        return -self.excess, self.merit


@dataclass(frozen=True, eq=False)
class Choice:
    """The anchors that are taken, and the searches that they are of."""

    anchors: AnchorGenerator
    problem: Problem  # with the weights that were searched with
    restarts: tuple[AnchorGenerator, ...]


def choose(problem: Problem, judge: Judge, search: Callable[[Problem], tuple[AnchorGenerator, ...]]) -> Choice:
    """Search, and search again with more weight on the classes that lose, until none does or MOST_ROUNDS are over."""
    rounds: list[tuple[Verdict, Choice]] = []
    for _ in range(MOST_ROUNDS):
        restarts = search(problem)
        best = max(map(judge.verdict, restarts), key=lambda one: one.rank)
        rounds.append((best, Choice(best.anchors, problem, restarts)))
        if not best.losing.any():
            break
        raised = np.where(best.losing[problem.sites.labels], np.float32(2), np.float32(1))
        problem = replace(problem, weights=problem.weights * raised)
    return max(rounds, key=lambda one: one[0].rank)[1]
