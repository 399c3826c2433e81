"""Which boxes get a positive anchor, which cannot, and which anchor shapes are used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from anchorloc.assign import MaxIoUAssigner, best_anchors
from anchorloc.boxes import paired_box_iou
from anchorloc.config import Config
from anchorloc.lab.neighbors import cut_by_border, neighbor_ious
from anchorloc.lab.network_views import NetworkView, NetworkViews
from anchorloc.structures import AnchorGrid, Assignment, BoolArray, Float32Array, Float64Array, IntArray, Target

CURVE_IOUS: Final = tuple(round(0.3 + 0.05 * step, 2) for step in range(14))  # 0.30 to 0.95
RECALL_IOUS: Final = tuple(round(0.5 + 0.05 * step, 2) for step in range(9))  # mean recall: 0.50 to 0.90
RESCUE_IOU: Final = 0.1  # for the recall with rescue, where the assigner of the config has no `rescue_iou`


class BoxStatus(IntEnum):
    """Whether a box has a positive anchor, and why not."""

    ASSIGNED = 0  # at least one anchor is positive for it
    COLLISION = 1  # it would be assigned if it were alone in its image: other boxes have its anchors
    NO_ANCHOR = 2  # no anchor is assigned to it even if it is alone


@dataclass(frozen=True, eq=False)
class BoxTable:
    """One row for each trainable box, each time that its image is seen."""

    epochs: IntArray  # (N,)
    images: IntArray  # (N,) index in the split
    rows: IntArray  # (N,) row of the annotation in its file
    labels: IntArray  # (N,)
    sizes: Float64Array  # (N, 2) width, height in network pixels
    best_iou: Float32Array  # (N,) greatest IoU with any anchor
    best_level: IntArray  # (N,) level of that anchor, -1 if no anchor overlaps the box
    exclusive_iou: Float32Array  # (N,) greatest IoU with an anchor that overlaps no other box more; 0 if below 0.30
    positives: IntArray  # (N,) number of positive anchors
    level: IntArray  # (N,) level of the positive anchor with the greatest IoU, -1 if there is none
    status: IntArray  # (N,) a BoxStatus
    neighbor_iou: Float64Array  # (N,) greatest IoU with another box of the image
    cut: BoolArray  # (N,) whether the border of the image cuts the box

    def __len__(self) -> int:
        return len(self.images)

    def take(self, chosen: NDArray[np.bool_]) -> BoxTable:
        """Return the rows that a mask (N,) selects."""
        return BoxTable(**{name: column[chosen] for name, column in vars(self).items()})

    @property
    def assigned(self) -> NDArray[np.bool_]:  # (N,)
        return np.asarray(self.status == BoxStatus.ASSIGNED)

    @property
    def scale(self) -> Float64Array:  # (N,) square root of the area, in network pixels
        return np.asarray(np.sqrt(self.sizes.prod(axis=1)))

    @property
    def height_to_width(self) -> Float64Array:  # (N,)
        return self.sizes[:, 1] / self.sizes[:, 0]


@dataclass(frozen=True)
class LevelShapes:
    """The anchor shapes of one level, as they are on the first image."""

    stride: float
    sizes: tuple[tuple[float, float], ...]  # (width, height) in network pixels


@dataclass(frozen=True, eq=False)
class AnchorCoverage:
    """How the assigner of a config covers the boxes of one split with anchors."""

    views: NetworkViews
    boxes: BoxTable
    images: int  # seen; an image counts once an epoch
    crowds: int
    unusable: int  # annotated boxes of zero size or outside their image, which are not trained on
    cropped_out: int  # boxes that augmentation removes
    anchors: int  # over all images seen
    ignored: int  # ignored anchors
    positives_per_shape: tuple[IntArray, ...]  # per level (K,)
    levels: tuple[LevelShapes, ...]  # empty if there is no image
    rescued_recall: tuple[float, ...] = field(default=())  # at CURVE_IOUS; empty if it was not measured

    @property
    def config(self) -> Config:
        return self.views.config

    @property
    def assigned(self) -> float:
        """Return the fraction of boxes with a positive anchor; 1 if there is no box."""
        return fraction_true(self.boxes.assigned)

    @property
    def recall(self) -> tuple[float, ...]:
        """Return the fraction of boxes that max-IoU without rescue assigns, with `positive_iou` at CURVE_IOUS."""
        return tuple(fraction_true(self.boxes.exclusive_iou >= np.float32(threshold)) for threshold in CURVE_IOUS)

    @property
    def recall50(self) -> float:
        """Return the same recall at IoU 0.5."""
        return fraction_true(self.boxes.exclusive_iou >= np.float32(0.5))

    @property
    def mean_recall(self) -> float:
        """Return the mean of the same recall over RECALL_IOUS."""
        return mean_recall(self.boxes.exclusive_iou)

    @property
    def positives(self) -> int:
        return int(sum(level.sum() for level in self.positives_per_shape))

    @property
    def anchors_per_image(self) -> float:
        return self.anchors / max(1, self.images)

    @property
    def unassigned(self) -> int:
        return int((~self.boxes.assigned).sum())

    @property
    def shape_shares(self) -> list[float]:
        """Return the share of all positives that each anchor shape has, level by level."""
        total = max(1, self.positives)
        return [count / total for level in self.positives_per_shape for count in level.tolist()]

    def shape_rows(self) -> Iterator[tuple[int, float, float, float, int, float]]:
        """Yield (level, stride, width, height, positives, share of all positives) of every anchor shape."""
        shares = iter(self.shape_shares)
        for level, (shapes, counts) in enumerate(zip(self.levels, self.positives_per_shape, strict=False)):
            for (width, height), count in zip(shapes.sizes, counts.tolist(), strict=True):
                yield level, shapes.stride, width, height, count, next(shares)

    def count(self, status: BoxStatus) -> int:
        """Return the number of boxes with a status."""
        return int((self.boxes.status == status).sum())


def fraction_true(chosen: NDArray[np.bool_]) -> float:
    """Return the fraction of True in a mask (N,); 1 if the mask is empty."""
    return float(chosen.mean()) if len(chosen) else 1.0


def recall_of_box(iou: Float32Array) -> Float64Array:
    """Return for each IoU (N,) the fraction of RECALL_IOUS that it reaches."""
    return np.asarray(np.mean([iou >= np.float32(threshold) for threshold in RECALL_IOUS], axis=0))


def mean_recall(iou: Float32Array) -> float:
    """Return the recall of boxes with these IoUs (N,), mean over RECALL_IOUS; 1 if there is no box."""
    return float(recall_of_box(iou).mean()) if len(iou) else 1.0


def measure_coverage(views: NetworkViews, rescue_curve: bool = True) -> AnchorCoverage:
    """Assign anchors in all images of `views`, and count.

    Args:
        rescue_curve: also measure the recall with rescue at each of CURVE_IOUS, which takes most of the time.
    """
    config = views.config
    rescuers = _rescuers(config) if rescue_curve else ()
    positives = [np.zeros(shapes, np.int64) for shapes in config.anchors.shapes_per_level]
    unrescued, columns = np.zeros(len(rescuers), np.int64), [_empty_columns()]
    anchors = ignored = crowds = annotated = 0
    levels: tuple[LevelShapes, ...] = ()
    for view in views:
        levels = levels or tuple(LevelShapes(level.stride[0], level.sizes) for level in view.grid.levels)
        assignment = config.method.untrained_assigner(view.grid, view.target.boxes, view.target.crowd)
        columns.append(_columns(config, view, assignment))
        _count_positives(positives, view.grid, assignment)
        anchors, ignored = anchors + len(view.grid), ignored + len(assignment.ignored)
        crowds, annotated = crowds + int(view.target.crowd.sum()), annotated + view.annotated_boxes
        for place, assigner in enumerate(rescuers):
            unrescued[place] += len(assigner(view.grid, view.target.boxes, view.target.crowd).unassigned)
    boxes = BoxTable(*(np.concatenate(parts) for parts in zip(*columns, strict=True)))
    return AnchorCoverage(
        views=views,
        boxes=boxes,
        images=len(views),
        crowds=crowds,
        unusable=_unusable(views),
        cropped_out=annotated - len(boxes) - crowds,
        anchors=anchors,
        ignored=ignored,
        positives_per_shape=tuple(positives),
        levels=levels,
        rescued_recall=tuple((1 - unrescued / max(1, len(boxes))).tolist()),
    )


def coverage_with(views: NetworkViews, config: Config) -> AnchorCoverage:
    """Return the coverage of the images of `views` under another config, without the curve of rescue."""
    return measure_coverage(replace(views, config=config), rescue_curve=False)


def box_statuses(config: Config, view: NetworkView, assignment: Assignment) -> IntArray:
    """Return a BoxStatus for each box (M,) of a view.

    The boxes without an anchor are assigned again without the others, until a round assigns none. A box that gets an
    anchor beside others gets one alone. An anchor that a box would get alone goes to some box of the round, so in the
    last round no box would get one.
    """
    target, left = view.target, assignment.unassigned
    result = np.full(len(target), int(BoxStatus.ASSIGNED))
    result[left] = BoxStatus.NO_ANCHOR
    while len(left):
        again = config.method.untrained_assigner(view.grid, target.boxes[left], target.crowd[left]).unassigned
        if len(again) == len(left):
            break
        result[np.delete(left, again)] = BoxStatus.COLLISION
        left = left[again]
    return result


def level_of(grid: AnchorGrid, anchors: IntArray) -> IntArray:
    """Return the level of each anchor (N,), and -1 for -1."""
    ends = np.cumsum([len(level) for level in grid.levels])
    return np.where(anchors < 0, -1, np.searchsorted(ends, anchors, side="right"))


def _rescuers(config: Config) -> tuple[MaxIoUAssigner, ...]:
    assigner, rescue = config.assign, RESCUE_IOU
    if isinstance(assigner, MaxIoUAssigner) and assigner.rescue_iou is not None:
        rescue = assigner.rescue_iou
    return tuple(MaxIoUAssigner(threshold, threshold, rescue) for threshold in CURVE_IOUS)


def _columns(config: Config, view: NetworkView, assignment: Assignment) -> tuple[NDArray[np.generic], ...]:
    """Return the rows of a BoxTable that one image adds, column by column."""
    target, grid = view.target, view.grid
    rows = np.flatnonzero(~target.crowd)
    best_iou, best = best_anchors(grid, target.boxes[rows])
    strongest, _ = _strongest(grid, target, assignment)
    exclusive = MaxIoUAssigner(CURVE_IOUS[0], CURVE_IOUS[0])(grid, target.boxes, target.crowd)
    return (
        np.full(len(rows), view.epoch),
        view.images[rows],
        target.rows[rows],
        target.labels[rows],
        target.boxes[rows, 2:] - target.boxes[rows, :2],
        best_iou,
        level_of(grid, best),
        _strongest(grid, target, exclusive)[1][rows],
        np.bincount(assignment.rows, minlength=len(target))[rows],
        level_of(grid, strongest)[rows],
        box_statuses(config, view, assignment)[rows],
        neighbor_ious(target.boxes[rows]),
        cut_by_border(target.boxes[rows], view.extent, view.scale),
    )


def _empty_columns() -> tuple[NDArray[np.generic], ...]:
    """Return the columns of a BoxTable of length 0, which fix the dtypes where no image has a box."""
    whole, real = np.zeros(0, np.int64), np.zeros(0, np.float32)
    return (whole,) * 4 + (np.zeros((0, 2)), real, whole, real, whole, whole, whole, np.zeros(0), np.zeros(0, np.bool_))


def _strongest(grid: AnchorGrid, target: Target, assignment: Assignment) -> tuple[IntArray, Float32Array]:
    """Return each box's (M,) positive anchor of greatest IoU (the first of equals), and that IoU; else -1 and 0."""
    iou = paired_box_iou(grid.boxes[assignment.anchors], target.boxes[assignment.rows].astype(np.float32))
    strongest, greatest = np.full(len(target), -1), np.zeros(len(target), np.float32)
    order = np.lexsort((-assignment.anchors, iou))  # ascending: the last write to a row is the greatest IoU
    strongest[assignment.rows[order]], greatest[assignment.rows[order]] = assignment.anchors[order], iou[order]
    return strongest, greatest


def _count_positives(positives: list[IntArray], grid: AnchorGrid, assignment: Assignment) -> None:
    start = 0
    for counts, level in zip(positives, grid.levels, strict=True):
        low, high = np.searchsorted(assignment.anchors, [start, start + len(level)])
        counts += np.bincount((assignment.anchors[low:high] - start) % level.shapes, minlength=level.shapes)
        start += len(level)


def _unusable(views: NetworkViews) -> int:
    """Return the number of annotated boxes that are not trained on."""
    source = views.source
    return sum(len(source.target(index)) - len(source.training_target(index)) for index in views.indices)
