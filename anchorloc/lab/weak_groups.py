"""Find groups of boxes that the anchors cover badly, why, and which config change helps each of them most."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from anchorloc.config import Config
from anchorloc.errors import InputError
from anchorloc.lab.anchor_coverage import (
    AnchorCoverage,
    BoxStatus,
    BoxTable,
    coverage_with,
    fraction_true,
    measure_coverage,
)
from anchorloc.lab.groups import Grouping, groupings
from anchorloc.lab.suggestions import ConfigChange, anchor_changes, assigner_changes, build_error
from anchorloc.structures import BoolArray, Float64Array

MAX_TRIAL_IMAGES = 1000  # on which a change is tried, spread over the split
MAX_GROUPS = 3  # reported
MIN_SHARE = 0.01  # a group is reported if so many of all boxes are uncovered boxes of this group
MIN_BOXES = 10  # uncovered boxes that a group needs too, except all boxes together
MIN_UNASSIGNED = 0.005  # share of boxes: with fewer unassigned, the criterion is an IoU of 0.5
LOW_RECALL = 0.5  # share of boxes with an anchor of IoU >= 0.5: below it, its lack is reported in any case
MIN_FIXED_FRACTION = 0.05  # fraction of the uncovered boxes; a change that covers fewer is not suggested
UNLIKE = 2.0  # times the area of the median width and height
NEARLY_BEST = 0.95  # prefer fewer anchors if a change helps at least this fraction of the best

Changes = Callable[[Config, BoxTable], Iterator[ConfigChange]]


@dataclass(frozen=True)
class CoverageCriterion:
    """The anchor that a covered box has: a positive one or, where nearly all boxes have that, one of IoU >= 0.5."""

    needs_iou: bool

    @property
    def phrase(self) -> str:
        return "anchor of IoU >= 0.5" if self.needs_iou else "positive anchor"

    def uncovered(self, boxes: BoxTable) -> BoolArray:
        """Return the mask (N,) of boxes without one."""
        return boxes.exclusive_iou < np.float32(0.5) if self.needs_iou else ~boxes.assigned


@dataclass(frozen=True)
class BoxGroup:
    """The boxes of one size, aspect ratio or class, of one class and size, or all boxes."""

    conditions: tuple[tuple[int, int], ...]  # (division, group in it) that all must hold; none is all boxes

    def mask(self, divisions: Sequence[Grouping]) -> BoolArray:
        """Return the mask (N,) of the group's boxes in the table that `divisions` divide."""
        masks = [divisions[division].mask(group) for division, group in self.conditions]
        return np.asarray(np.logical_and.reduce([np.ones(len(divisions[0].group_of_box), np.bool_), *masks]))

    def phrase(self, divisions: Sequence[Grouping]) -> str:
        """Return the group as a phrase, such as "`dog` boxes of 8-16 px"."""
        size, aspect, name = (dict(self.conditions).get(division) for division in range(3))
        parts = [
            "boxes" if name is None else f"`{divisions[2].labels[name]}` boxes",
            "" if size is None else f" of {divisions[0].labels[size]}",
            "" if aspect is None else f" of height/width {divisions[1].labels[aspect]}",
        ]
        return "".join(parts)


@dataclass(frozen=True, eq=False)
class TriedChange:
    """A config change, and the coverage that it gives."""

    change: ConfigChange
    fixed_fraction: float  # fraction of the uncovered boxes that the change covers
    coverage: AnchorCoverage


@dataclass(frozen=True, eq=False)
class WeakGroup:
    """A group with many boxes that the anchors do not cover."""

    criterion: CoverageCriterion
    phrase: str
    boxes: int
    uncovered: int
    cause: str  # a clause: why the uncovered boxes have no such anchor
    before: AnchorCoverage  # on the images that changes were tried on
    best: TriedChange | None  # None if there was no change to try


def weak_groups(coverage: AnchorCoverage) -> Iterator[WeakGroup]:
    """Yield the groups with most uncovered boxes beyond their share, each with the change of anchors that covers most.

    Where no group lacks positive anchors, or where recall is low, the groups without an anchor of IoU >= 0.5 follow. If
    boxes have no positive anchor, all of them come last, with the change of the assigner that helps most.
    """
    sample, unassigned = _sample(coverage), CoverageCriterion(needs_iou=False)
    lacking = 1 - coverage.assigned >= MIN_UNASSIGNED
    groups = list(_weak_groups(unassigned, coverage, sample)) if lacking else []
    yield from groups
    if not groups or coverage.recall50 < LOW_RECALL:
        yield from _weak_groups(CoverageCriterion(needs_iou=True), coverage, sample)
    if lacking:
        last = _weak_group(unassigned, BoxGroup(()), coverage, sample, assigner_changes)
        if last.best is not None and last.best.fixed_fraction >= MIN_FIXED_FRACTION:
            yield last


def _weak_groups(criterion: CoverageCriterion, coverage: AnchorCoverage, sample: AnchorCoverage) -> Iterator[WeakGroup]:
    divisions = groupings(coverage)[:3]
    uncovered, reported = criterion.uncovered(coverage.boxes), np.zeros(len(coverage.boxes), np.bool_)
    for _ in range(MAX_GROUPS):
        group = _worst(divisions, uncovered, reported)
        if group is None:
            break
        reported |= group.mask(divisions)
        yield _weak_group(criterion, group, coverage, sample, anchor_changes)
    if not reported.any() and uncovered.mean() >= MIN_SHARE:
        yield _weak_group(criterion, BoxGroup(()), coverage, sample, anchor_changes)


def _sample(coverage: AnchorCoverage) -> AnchorCoverage:
    """Return the coverage of the images on which changes are tried."""
    views = coverage.views.subset(MAX_TRIAL_IMAGES)
    return coverage if views is coverage.views else measure_coverage(views, rescue_curve=False)


def _weak_group(
    criterion: CoverageCriterion, group: BoxGroup, coverage: AnchorCoverage, sample: AnchorCoverage, changes: Changes
) -> WeakGroup:
    divisions = groupings(coverage)[:3]
    mask = group.mask(divisions)
    uncovered = criterion.uncovered(coverage.boxes) & mask
    uncovered_here = criterion.uncovered(sample.boxes) & group.mask(groupings(sample)[:3])
    tried = list(_try_changes(sample, uncovered_here, criterion, changes)) if uncovered_here.any() else []
    return WeakGroup(
        criterion=criterion,
        phrase=group.phrase(divisions),
        boxes=int(mask.sum()),
        uncovered=int(uncovered.sum()),
        cause=_cause(coverage, coverage.boxes.take(uncovered)),
        before=sample,
        best=_best_change(tried),
    )


def _cause(coverage: AnchorCoverage, boxes: BoxTable) -> str:
    """Say why most of the uncovered `boxes` have no better anchor: the shapes, the cells, or other boxes."""
    size, typical = _typical_size(boxes)
    shapes = [(shape, level.stride) for level in coverage.levels for shape in level.sizes]
    sizes = np.array([shape for shape, _ in shapes])
    inter = np.minimum(sizes, size).prod(axis=1)
    iou = inter / (sizes.prod(axis=1) + size.prod() - inter)  # with the centers on each other
    (width, height), stride = shapes[int(iou.argmax())]
    box, anchor = f"{size[0]:.3g} x {size[1]:.3g} px", f"{width:.3g} x {height:.3g} px"
    if iou.max() < 0.5:
        return f"a box of their {typical}, {box}, reaches IoU {iou.max():.2f} at most, with the anchor of {anchor}"
    if 2 * (boxes.status == BoxStatus.COLLISION).sum() > len(boxes):
        return "other boxes have their anchors"
    if np.median(boxes.best_iou) >= 0.5:
        return "other boxes overlap their anchors more, or the assigner asks for a higher IoU"
    return (
        f"the anchor of {anchor} fits their {typical}, {box}, but the centers of anchors are {stride:g} px apart, "
        "too far from the centers of the boxes"
    )


def _typical_size(boxes: BoxTable) -> tuple[Float64Array, str]:
    """Return width and height (2,) of a typical box, and how it was found.

    The medians of width and height are no box where wide and high ones meet: there it is the box of median area.
    """
    size, areas = np.median(boxes.sizes, axis=0), boxes.sizes.prod(axis=1)
    middle = np.argsort(areas, kind="stable")[(len(areas) - 1) // 2]
    if areas[middle] <= UNLIKE * size.prod():
        return size, "median size"
    return boxes.sizes[middle], "median area"


def _best_change(tried: Sequence[TriedChange]) -> TriedChange | None:
    """Return the change that helps most, or one with fewer anchors that helps nearly as much."""
    most = max((one.fixed_fraction for one in tried), default=0.0)
    good = [one for one in tried if one.fixed_fraction >= most * NEARLY_BEST]
    return min(good, key=lambda one: (one.coverage.anchors, -one.fixed_fraction), default=None)


def _try_changes(
    sample: AnchorCoverage, uncovered: BoolArray, criterion: CoverageCriterion, changes: Changes
) -> Iterator[TriedChange]:
    config = sample.config
    for change in changes(config, sample.boxes.take(uncovered)):
        try:
            changed = change.apply(config)
        except InputError:
            continue
        if changed.anchors.strides == config.anchors.strides or build_error(changed) is None:
            after = coverage_with(sample.views, changed)
            yield TriedChange(change, fraction_true(~criterion.uncovered(after.boxes)[uncovered]), after)


def _worst(divisions: Sequence[Grouping], uncovered: BoolArray, reported: BoolArray) -> BoxGroup | None:
    """Return the group with the most uncovered boxes beyond its share of them, without boxes already reported."""
    worst, greatest = None, -np.inf
    for group in _groups(divisions):
        mask = group.mask(divisions) & ~reported
        count = int((mask & uncovered).sum())
        excess = count - mask.sum() * uncovered.mean()
        if count >= max(MIN_BOXES, MIN_SHARE * len(uncovered)) and excess > greatest:
            worst, greatest = group, excess
    return worst


def _groups(divisions: Sequence[Grouping]) -> Iterator[BoxGroup]:
    yield BoxGroup(())
    for number, division in enumerate(divisions):
        for group in np.unique(division.group_of_box).tolist():
            yield BoxGroup(((number, group),))
    for size, label in np.unique(np.stack([divisions[0].group_of_box, divisions[2].group_of_box]), axis=1).T.tolist():
        yield BoxGroup(((0, size), (2, label)))
