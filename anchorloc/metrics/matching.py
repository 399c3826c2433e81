"""Every detection matched once, for all that is counted afterwards: the fast twin of pycocotools' matching."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np

from anchorloc.metrics.box_tables import DetectionTable, Float64Array, TruthTable
from anchorloc.metrics.match_kernels import ASIDE, RIGHT, Int8Array, match
from anchorloc.structures import BoolArray, IntArray

IOU_THRESHOLDS: Final = tuple(float(iou) for iou in np.linspace(0.5, 0.95, 10))  # T
AREAS: Final = ("all", "small", "medium", "large")  # split at 32² and 96² square pixels, both ends inclusive
AREA_RANGES: Final = ((0.0, 1e10), (0.0, 32.0**2), (32.0**2, 96.0**2), (96.0**2, 1e10))


@dataclass(frozen=True, eq=False)
class Slice:
    """A part of the boxes to find. The others are ignored, as crowd boxes are."""

    name: str
    boxes: BoolArray  # (G,) of the truth table, that belong to it
    detections: BoolArray  # (D,) of the detection table: those that are errors of this slice if they find nothing


@dataclass(frozen=True, eq=False)
class Tallies:
    """Where sums over the detections change, see `match_kernels.accumulate`."""

    counted: BoolArray  # (S, D)
    places: IntArray  # (E,)
    rights: BoolArray  # (E,)
    starts: IntArray  # (S, T, C + 1)


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What became of the detections, class after class by descending score, in S slices at T IoU thresholds."""

    rows: IntArray  # (D,) in the detection table; those past the limit of their class and image are not there
    images: IntArray  # (D,)
    ranks: IntArray  # (D,) among the detections of the same class and image, from 0
    starts: IntArray  # (C + 1,) where each class starts
    states: Int8Array  # (S, T, D) WRONG, RIGHT or ASIDE
    matches: IntArray  # (T, D) the row in the truth table of the box found, in the first slice; -1 for none
    truth_images: IntArray  # (G,)
    truth_labels: IntArray  # (G,)
    wanted: BoolArray  # (S, G) the boxes to find
    image_count: int  # N

    @property
    def classes(self) -> int:
        """C."""
        return len(self.starts) - 1

    @cached_property
    def tallies(self) -> Tallies:
        """What all weightings of the images share, made on first use."""
        slices, thresholds, count = self.states.shape
        counted = (self.states != ASIDE).any(axis=1)
        rights = self.states == RIGHT
        flat = np.flatnonzero(rights | ((self.states == ASIDE) & counted[:, None]))
        firsts = np.arange(slices * thresholds).reshape(slices, thresholds, 1) * count + self.starts
        return Tallies(counted, flat % max(1, count), rights.ravel()[flat], np.searchsorted(flat, firsts))

    def up_to(self, limit: int) -> Outcomes:
        """Return them with detections past `limit` of a class and image aside."""
        return replace(self, states=np.where(self.ranks < limit, self.states, np.int8(ASIDE)))


def coco_slices(truth: TruthTable, detections: DetectionTable, by_size: bool = True) -> tuple[Slice, ...]:
    """Return AREAS as slices; the first alone without `by_size`."""
    sides = xywh(detections.boxes)[:, 2:]
    area = sides[:, 0] * sides[:, 1]
    return tuple(
        Slice(name, (truth.area >= low) & (truth.area <= high), (area >= low) & (area <= high))
        for name, (low, high) in zip(AREAS[: None if by_size else 1], AREA_RANGES, strict=False)
    )


def match_detections(
    truth: TruthTable,
    detections: DetectionTable,
    image_order: Sequence[int],
    classes: int,
    limit: int,
    slices: Sequence[Slice],
    thresholds: Sequence[float] = IOU_THRESHOLDS,
) -> Outcomes:
    """Match by COCO's protocol: equal to pycocotools to the bit.

    Args:
        image_order: the images, in the order in which equal scores of different images are ranked.
        limit: how many detections of one class in one image count.
    """
    place = np.empty(len(image_order), np.int64)
    place[np.asarray(image_order, np.int64)] = np.arange(len(image_order))
    keys = detections.labels * len(place) + place[detections.images]
    truth_keys = truth.labels * len(place) + place[truth.images]
    rows = np.lexsort((-detections.scores, keys))  # stable: equal scores keep their order
    ranks = np.arange(len(rows)) - np.searchsorted(keys[rows], keys[rows])
    rows, ranks = rows[ranks < limit], ranks[ranks < limit]
    boxes = np.argsort(truth_keys, kind="stable")
    groups = np.sort(np.concatenate([keys[rows], truth_keys]), kind="stable")
    groups = groups[np.diff(groups, prepend=-1) > 0]  # an image and a class each
    states = np.full((len(slices), len(thresholds), len(rows)), ASIDE, np.int8)
    matches = np.full(states.shape[1:], -1)
    wanted = _stacked([part.boxes & ~truth.crowd for part in slices], len(boxes))
    match(
        xywh(detections.boxes[rows]),
        _starts(keys[rows], groups),
        xywh(truth.boxes[boxes]),
        _starts(truth_keys[boxes], groups),
        truth.crowd[boxes],
        ~wanted[:, boxes],
        ~_stacked([part.detections[rows] for part in slices], len(rows)),
        np.asarray(thresholds),
        states,
        matches,
    )
    ranked = np.lexsort((-detections.scores[rows], detections.labels[rows]))  # stable: equal scores go by image
    rows = rows[ranked]
    return Outcomes(
        rows=rows,
        images=detections.images[rows],
        ranks=ranks[ranked],
        starts=np.searchsorted(detections.labels[rows], np.arange(classes + 1)),
        states=np.ascontiguousarray(states[:, :, ranked]),
        matches=np.append(boxes, -1)[matches[:, ranked]],  # -1 stays -1
        truth_images=truth.images,
        truth_labels=truth.labels,
        wanted=wanted,
        image_count=len(image_order),
    )


def xywh(boxes: Float64Array) -> Float64Array:
    """Return (N, 4) xyxy boxes as pycocotools has them."""
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)


def _starts(keys: IntArray, groups: IntArray) -> IntArray:
    return np.append(np.searchsorted(keys, groups), len(keys))


def _stacked(masks: list[BoolArray], length: int) -> BoolArray:
    return np.array(masks, np.bool_).reshape(len(masks), length)
