"""Groups of boxes whose anchors fall short, and the change that would help them most, tried."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from anchorloc.config import Config
from anchorloc.errors import InputError
from anchorloc.lab.anchor_coverage import BoxTable, Survey, share, survey
from anchorloc.lab.groups import Grouping, groupings
from anchorloc.lab.network_views import Views
from anchorloc.lab.suggestions import Remedy, anchor_remedies, assigner_remedies, misfit
from anchorloc.structures import BoolArray

TRIED_ON = 1000  # images that a change is tried on, spread over the split
MOST_GROUPS = 3  # that are told
WORTH, FEW = 0.01, 10  # the share of all boxes, and the number of them, below which a group is not told
ENOUGH = 0.005  # share of boxes without an anchor from which on this is the trouble to tell
LEAST_HELP = 0.05  # share of the boxes in trouble that a change must help to be told
AS_GOOD = 0.95  # a cheaper change is preferred if it helps so much of what the most helpful one does

Changes = Callable[[Config, BoxTable], Iterator[Remedy]]


@dataclass(frozen=True)
class Shortage:
    """What boxes may be short of: an anchor that learns them or, where all have one, a good one."""

    of_iou: bool

    @property
    def words(self) -> str:
        """What they have none of."""
        return "anchor of IoU >= 0.5" if self.of_iou else "anchor that learns them"

    def mask(self, boxes: BoxTable) -> BoolArray:
        """(N,) the boxes that are short of it."""
        return boxes.owned_iou < np.float32(0.5) if self.of_iou else ~boxes.learned


@dataclass(frozen=True)
class Group:
    """The boxes of one size, aspect or class, of a class and a size, or all of them."""

    places: tuple[tuple[int, int], ...]  # (division, group in it) that a box must be in

    def mask(self, divisions: Sequence[Grouping]) -> BoolArray:
        """(N,) the boxes of the group in the table that was divided."""
        masks = [divisions[division].mask(group) for division, group in self.places]
        return np.asarray(np.logical_and.reduce([np.ones(len(divisions[0].of), np.bool_), *masks]))

    def words(self, divisions: Sequence[Grouping]) -> str:
        """For people."""
        size, aspect, name = (dict(self.places).get(division) for division in range(3))
        parts = [
            "boxes" if name is None else f"`{divisions[2].labels[name]}` boxes",
            "" if size is None else f" of {divisions[0].labels[size]}",
            "" if aspect is None else f" of height/width {divisions[1].labels[aspect]}",
        ]
        return "".join(parts)


@dataclass(frozen=True, eq=False)
class Trial:
    """A change, and what it does."""

    remedy: Remedy
    helped: float  # share of the boxes in trouble that are short no more
    survey: Survey


@dataclass(frozen=True, eq=False)
class Trouble:
    """A group of boxes that are short of something."""

    shortage: Shortage
    words: str  # of the group
    boxes: int  # of it
    short: int
    base: Survey  # of the images that changes were tried on
    best: Trial | None  # None where nothing could be tried


@dataclass(frozen=True, eq=False)
class Surveyed:
    """Views, and what they gave."""

    views: Views
    survey: Survey

    @property
    def divisions(self) -> tuple[Grouping, ...]:
        """By size, aspect and class."""
        categories, levels = self.views.source.categories, len(self.survey.work)
        return groupings(self.survey.boxes, categories, levels)[:3]


def troubles(views: Views, found: Survey) -> Iterator[Trouble]:
    """Yield the groups that are worst off beyond their part of all boxes, each with the change of the anchors that
    helps it most; then, where boxes have no anchor at all, all of these with a change of the assigner.

    Args:
        found: the survey of `views`.
    """
    shortage = Shortage(of_iou=1 - found.assigned < ENOUGH)
    tried = views.spread(TRIED_ON)
    whole = Surveyed(views, found)
    part = whole if tried is views else Surveyed(tried, survey(tried, rescue_curve=False))
    short, told = shortage.mask(found.boxes), np.zeros(len(found.boxes), np.bool_)
    for _ in range(MOST_GROUPS):
        group = _worst(whole.divisions, short, told)
        if group is None:
            break
        told |= group.mask(whole.divisions)
        yield _trouble(shortage, group, whole, part, anchor_remedies)
    if not shortage.of_iou:
        last = _trouble(shortage, Group(()), whole, part, assigner_remedies)
        if last.best is not None:
            yield last


def _trouble(shortage: Shortage, group: Group, whole: Surveyed, part: Surveyed, changes: Changes) -> Trouble:
    mask = group.mask(whole.divisions)
    short_of_it = shortage.mask(whole.survey.boxes) & mask
    helpless = shortage.mask(part.survey.boxes) & group.mask(part.divisions)
    trials = list(_trials(part, helpless, shortage, changes)) if helpless.any() else []
    words = group.words(whole.divisions)
    return Trouble(shortage, words, int(mask.sum()), int(short_of_it.sum()), part.survey, _best(trials))


def _best(trials: Sequence[Trial]) -> Trial | None:
    """Return the trial that helps most, or a cheaper one that helps nearly as much."""
    most = max((trial.helped for trial in trials), default=0.0)
    good = [trial for trial in trials if trial.helped >= most * AS_GOOD]
    return min(good, key=lambda trial: (trial.survey.anchors, -trial.helped), default=None)


def _trials(part: Surveyed, helpless: BoolArray, shortage: Shortage, changes: Changes) -> Iterator[Trial]:
    config = part.views.config
    for remedy in changes(config, part.survey.boxes.take(helpless)):
        try:
            changed = remedy.applied(config)
        except InputError:
            continue
        if changed.anchors.strides == config.anchors.strides or misfit(changed) is None:
            after = survey(replace(part.views, config=changed), rescue_curve=False)
            yield Trial(remedy, share(~shortage.mask(after.boxes)[helpless]), after)


def _worst(divisions: Sequence[Grouping], short: BoolArray, told: BoolArray) -> Group | None:
    """Return the group with the most boxes in trouble beyond its part of all, those aside that were told."""
    best, greatest = None, -np.inf
    for group in _groups(divisions):
        mask = group.mask(divisions) & ~told
        trouble = int((mask & short).sum())
        excess = trouble - mask.sum() * short.mean()
        if trouble >= max(FEW, WORTH * len(short)) and excess > greatest:
            best, greatest = group, excess
    return best


def _groups(divisions: Sequence[Grouping]) -> Iterator[Group]:
    yield Group(())
    for number, division in enumerate(divisions):
        for group in np.unique(division.of).tolist():
            yield Group(((number, group),))
    for size, label in np.unique(np.stack([divisions[0].of, divisions[2].of]), axis=1).T.tolist():
        yield Group(((0, size), (2, label)))
