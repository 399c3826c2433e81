"""Which boxes some anchor learns, which none can, and which anchors do the work."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from anchorloc.assign import MaxIoUAssigner, best_anchors
from anchorloc.boxes import paired_box_iou
from anchorloc.config import Config
from anchorloc.lab.network_views import View, Views
from anchorloc.structures import AnchorGrid, Assignment, IntArray, Target

Float32Array = NDArray[np.float32]

CURVE_IOUS: Final = tuple(round(0.3 + 0.05 * step, 2) for step in range(14))  # 0.30 to 0.95
RECALL_IOUS: Final = tuple(round(0.5 + 0.05 * step, 2) for step in range(9))  # 0.50 to 0.90, of the mean recall
RESCUE_IOU: Final = 0.1  # of the curve with rescue, where the assigner names none


class Fate(IntEnum):
    """What becomes of a box in the assignment."""

    LEARNED = 0  # at least one anchor learns it
    COLLISION = 1  # alone in its image it would be learned: other boxes have its anchors
    NO_ANCHOR = 2  # even alone no anchor would learn it


@dataclass(frozen=True, eq=False)
class BoxTable:
    """One row for each box that is to be learned, each time an image is met."""

    epochs: IntArray  # (N,)
    images: IntArray  # (N,) index in the split
    rows: IntArray  # (N,) row of the annotation in its file
    labels: IntArray  # (N,)
    sizes: NDArray[np.float64]  # (N, 2) width, height in network pixels
    best_iou: Float32Array  # (N,) with any anchor
    best_level: IntArray  # (N,) of that anchor, -1 where nothing overlaps
    owned_iou: Float32Array  # (N,) the greatest with an anchor that overlaps no other box more; 0 below CURVE_IOUS[0]
    positives: IntArray  # (N,) anchors that learn it
    level: IntArray  # (N,) of the positive of greatest IoU, -1 where there is none
    fate: IntArray  # (N,) a Fate

    def __len__(self) -> int:
        return len(self.images)

    def take(self, chosen: NDArray[np.bool_]) -> BoxTable:
        """Return the rows that a mask (N,) chooses."""
        return BoxTable(**{name: column[chosen] for name, column in vars(self).items()})

    @property
    def learned(self) -> NDArray[np.bool_]:
        """(N,)"""
        return np.asarray(self.fate == Fate.LEARNED)

    @property
    def scale(self) -> NDArray[np.float64]:
        """(N,) the square root of the area, in network pixels."""
        return np.asarray(np.sqrt(self.sizes.prod(axis=1)))

    @property
    def height_to_width(self) -> NDArray[np.float64]:
        """(N,)"""
        return self.sizes[:, 1] / self.sizes[:, 0]


@dataclass(frozen=True)
class LevelShapes:
    """The anchors of a cell of one level, in the first image met."""

    stride: float
    sizes: tuple[tuple[float, float], ...]  # (width, height) in network pixels


@dataclass(frozen=True, eq=False)
class Survey:
    """What the assigner of a config does with one split."""

    config: Config
    boxes: BoxTable
    images: int  # met, an image counting once an epoch
    crowds: int
    unusable: int  # boxes of zero size or outside their image: annotated, but nothing to learn
    cut: int  # boxes that augmentation cut out of the picture
    anchors: int  # over all images met
    ignored: int  # of them
    work: tuple[IntArray, ...]  # per level (K,): how often each shape was a positive
    levels: tuple[LevelShapes, ...]  # empty where no image was met
    rescued_recall: tuple[float, ...] = field(default=())  # at CURVE_IOUS; empty where it was not asked for

    @property
    def assigned(self) -> float:
        """The share of boxes that some anchor learns; 1 where there is no box."""
        return share(self.boxes.learned)

    @property
    def recall(self) -> tuple[float, ...]:
        """The share of boxes that max-IoU without rescue would assign with `positive_iou` at each of CURVE_IOUS."""
        return tuple(share(self.boxes.owned_iou >= np.float32(threshold)) for threshold in CURVE_IOUS)

    @property
    def recall50(self) -> float:
        """The same at IoU 0.5."""
        return share(self.boxes.owned_iou >= np.float32(0.5))

    @property
    def mean_recall(self) -> float:
        """The same, mean over RECALL_IOUS."""
        return mean_recall(self.boxes.owned_iou)

    @property
    def positives(self) -> int:
        """Anchors that learn a box."""
        return int(sum(level.sum() for level in self.work))

    def count(self, fate: Fate) -> int:
        """How many boxes end so."""
        return int((self.boxes.fate == fate).sum())


def share(chosen: NDArray[np.bool_]) -> float:
    """The mean, 1 of nothing."""
    return float(chosen.mean()) if len(chosen) else 1.0


def passed(iou: Float32Array) -> NDArray[np.float64]:
    """(N,) the share of RECALL_IOUS that each IoU reaches."""
    return np.asarray(np.mean([iou >= np.float32(threshold) for threshold in RECALL_IOUS], axis=0))


def mean_recall(iou: Float32Array) -> float:
    """The mean recall of boxes with such IoUs; 1 where there is none."""
    return float(passed(iou).mean()) if len(iou) else 1.0


def survey(views: Views, rescue_curve: bool = True) -> Survey:
    """Assign all images of `views` and keep count.

    Args:
        rescue_curve: also assign at each of CURVE_IOUS with rescue, which takes most of the time.
    """
    config = views.config
    rescuers = _rescuers(config) if rescue_curve else ()
    work = [np.zeros(shapes, np.int64) for shapes in config.anchors.shapes_per_level]
    unrescued, columns = np.zeros(len(rescuers), np.int64), [_no_boxes()]
    anchors = ignored = crowds = met = 0
    levels: tuple[LevelShapes, ...] = ()
    for view in views:
        levels = levels or tuple(LevelShapes(level.stride[0], level.sizes) for level in view.grid.levels)
        assignment = config.assign(view.grid, view.target.boxes, view.target.crowd)
        columns.append(_columns(config, view, assignment))
        _count_work(work, view.grid, assignment)
        anchors, ignored = anchors + len(view.grid), ignored + len(assignment.ignored)
        crowds, met = crowds + int(view.target.crowd.sum()), met + view.annotated
        for place, assigner in enumerate(rescuers):
            unrescued[place] += len(assigner(view.grid, view.target.boxes, view.target.crowd).unassigned)
    boxes = BoxTable(*(np.concatenate(parts) for parts in zip(*columns, strict=True)))
    usable, annotated = _trainable(views)
    return Survey(
        config=config,
        boxes=boxes,
        images=len(views),
        crowds=crowds,
        unusable=annotated - usable,
        cut=met - len(boxes) - crowds,
        anchors=anchors,
        ignored=ignored,
        work=tuple(work),
        levels=levels,
        rescued_recall=tuple((1 - unrescued / max(1, len(boxes))).tolist()),
    )


def _rescuers(config: Config) -> tuple[MaxIoUAssigner, ...]:
    rescue = RESCUE_IOU
    if isinstance(config.assign, MaxIoUAssigner) and config.assign.rescue_iou is not None:
        rescue = config.assign.rescue_iou
    return tuple(MaxIoUAssigner(threshold, threshold, rescue) for threshold in CURVE_IOUS)


def _columns(config: Config, view: View, assignment: Assignment) -> tuple[NDArray[np.generic], ...]:
    """The rows of a BoxTable that an image gives."""
    target, grid = view.target, view.grid
    rows = np.flatnonzero(~target.crowd)
    best_iou, best = best_anchors(grid, target.boxes[rows])
    strongest, _ = _strongest(grid, target, assignment)
    owner = MaxIoUAssigner(CURVE_IOUS[0], CURVE_IOUS[0])(grid, target.boxes, target.crowd)
    return (
        np.full(len(rows), view.epoch),
        view.images[rows],
        target.rows[rows],
        target.labels[rows],
        target.boxes[rows, 2:] - target.boxes[rows, :2],
        best_iou,
        level_of(grid, best),
        _strongest(grid, target, owner)[1][rows],
        np.bincount(assignment.rows, minlength=len(target))[rows],
        level_of(grid, strongest)[rows],
        fates(config, view, assignment)[rows],
    )


def _no_boxes() -> tuple[NDArray[np.generic], ...]:
    """The columns of no box at all, in the types that they have."""
    whole, real = np.zeros(0, np.int64), np.zeros(0, np.float32)
    return (whole,) * 4 + (np.zeros((0, 2)), real, whole, real, whole, whole, whole)


def _strongest(grid: AnchorGrid, target: Target, assignment: Assignment) -> tuple[IntArray, Float32Array]:
    """For each box (M,) its positive of greatest IoU, of equals the first, and that IoU; -1 and 0 where it has none."""
    iou = paired_box_iou(grid.boxes[assignment.anchors], target.boxes[assignment.rows].astype(np.float32))
    strongest, greatest = np.full(len(target), -1), np.zeros(len(target), np.float32)
    order = np.lexsort((-assignment.anchors, iou))  # the last one written stays
    strongest[assignment.rows[order]], greatest[assignment.rows[order]] = assignment.anchors[order], iou[order]
    return strongest, greatest


def fates(config: Config, view: View, assignment: Assignment) -> IntArray:
    """What becomes of each box (M,) of a view, a Fate."""
    target = view.target
    result = np.full(len(target), int(Fate.LEARNED))
    for row in assignment.unassigned:
        alone = config.assign(view.grid, target.boxes[[row]], target.crowd[[row]])
        result[row] = Fate.COLLISION if len(alone.anchors) else Fate.NO_ANCHOR
    return result


def level_of(grid: AnchorGrid, anchors: IntArray) -> IntArray:
    """The level of each anchor, -1 for -1."""
    ends = np.cumsum([len(level) for level in grid.levels])
    return np.where(anchors < 0, -1, np.searchsorted(ends, anchors, side="right"))


def _count_work(work: list[IntArray], grid: AnchorGrid, assignment: Assignment) -> None:
    start = 0
    for counts, level in zip(work, grid.levels, strict=True):
        low, high = np.searchsorted(assignment.anchors, [start, start + len(level)])
        counts += np.bincount((assignment.anchors[low:high] - start) % level.shapes, minlength=level.shapes)
        start += len(level)


def _trainable(views: Views) -> tuple[int, int]:
    """How many boxes can be learned from, crowds among them, and how many are annotated."""
    source = views.source
    counts = [(len(source.training_target(index)), len(source.target(index))) for index in views.indices]
    usable, annotated = np.array(counts, np.int64).reshape(-1, 2).sum(axis=0).tolist()
    return usable, annotated
