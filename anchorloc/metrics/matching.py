"""Match detections to ground truth by COCO's protocol, once, for everything that is counted afterwards.

The matches equal pycocotools' matches to the bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np

from anchorloc.metrics.box_tables import DetectionTable, TruthTable
from anchorloc.metrics.match_kernels import IGNORED, TRUE_POSITIVE, Int8Array, Int32Array, match
from anchorloc.metrics.orders import ascending_order, descending_order
from anchorloc.metrics.protocol import COCO, IOU_THRESHOLDS, Protocol
from anchorloc.structures import BoolArray, Float64Array, IntArray

AREAS: Final = ("all", "small", "medium", "large")  # split at 32² and 96² square pixels, both ends inclusive


@dataclass(frozen=True, eq=False)
class Slice:
    """A subset of the ground truth to score. Boxes outside it are ignored, as crowd boxes are."""

    name: str
    boxes: BoolArray  # (G,) boxes of the truth table in the slice
    detections: BoolArray  # (D,) detections that are false positives of the slice if they match no box


@dataclass(frozen=True, eq=False)
class AccumulationIndex:
    """The counted detections, and where precision and recall change, as `match_kernels.accumulate` takes them."""

    images: Int32Array  # (M,)
    starts: IntArray  # (S, C + 1)
    events: Int32Array  # (E,)
    is_true_positive: BoolArray  # (E,)
    ranks: Int32Array  # (E,)
    event_starts: IntArray  # (S, T, C + 1)


@dataclass(frozen=True, eq=False)
class MatchResult:
    """The state of every detection in S slices at T IoU thresholds; class by class, by descending score."""

    rows: IntArray  # (D,) row in the detection table; detections past the limit of their class and image are left out
    images: IntArray  # (D,)
    ranks: IntArray  # (D,) rank within the class and image, from 0
    starts: IntArray  # (C + 1,) where each class starts
    states: Int8Array  # (S, T, D) FALSE_POSITIVE, TRUE_POSITIVE or IGNORED
    matches: Int32Array  # (T, D) row in the truth table of the box matched in the first slice, or -1
    truth_images: IntArray  # (G,)
    truth_labels: IntArray  # (G,)
    countable_boxes: BoolArray  # (S, G) the boxes of each slice, without crowd boxes
    image_count: int  # N

    @property
    def classes(self) -> int:  # C
        return len(self.starts) - 1

    @cached_property
    def accumulation_index(self) -> AccumulationIndex:
        """Index the states for `weighted_scores`; all image weights share it, so it is made once, on first use."""
        slices, thresholds, count = self.states.shape
        counted = (self.states != IGNORED).any(axis=1)  # (S, D)
        places = np.concatenate([[0], np.cumsum(counted)])  # (S * D + 1,) counted detections before each one
        hits = self.states == TRUE_POSITIVE
        flat = np.flatnonzero(hits | ((self.states == IGNORED) & counted[:, None]))
        part, rows = np.divmod(flat, max(1, count))
        firsts = np.arange(slices * thresholds).reshape(slices, thresholds, 1) * count + self.starts
        return AccumulationIndex(
            images=np.broadcast_to(self.images, counted.shape)[counted].astype(np.int32),
            starts=places[np.arange(slices)[:, None] * count + self.starts],
            events=places[part // thresholds * count + rows].astype(np.int32),
            is_true_positive=hits.ravel()[flat],
            ranks=self.ranks[rows].astype(np.int32),
            event_starts=np.searchsorted(flat, firsts),
        )

    def scored_classes(self) -> tuple[IntArray, MatchResult]:
        """Return the labels of the classes with a box to find, and the result of these classes alone.

        The other classes enter no number, and a set can list thousands of them. `matches` keeps its rows.
        """
        labels = np.unique(self.truth_labels[self.countable_boxes.any(axis=0)])
        sizes = np.diff(self.starts)
        kept = np.isin(np.repeat(np.arange(self.classes), sizes), labels)
        boxes = np.isin(self.truth_labels, labels)
        scored = replace(
            self,
            rows=self.rows[kept],
            images=self.images[kept],
            ranks=self.ranks[kept],
            starts=np.concatenate([[0], np.cumsum(sizes[labels])]),
            states=self.states[:, :, kept],
            matches=self.matches[:, kept],
            truth_images=self.truth_images[boxes],
            truth_labels=np.searchsorted(labels, self.truth_labels[boxes]),
            countable_boxes=self.countable_boxes[:, boxes],
        )
        return labels, scored


@dataclass(frozen=True, eq=False)
class MatchGroups:
    """Detections and boxes sorted into P groups of one image and one class each, to match in any slices."""

    truth: TruthTable
    detections: DetectionTable
    rows: IntArray  # (D,) rows of the detection table, by group and descending score, up to the limit of each group
    ranks: IntArray  # (D,) rank of each in its group, from 0
    boxes: IntArray  # (G,) rows of the truth table, by group
    detection_xywh: Float64Array  # (D, 4) in the order of `rows`
    box_xywh: Float64Array  # (G, 4) in the order of `boxes`
    starts: IntArray  # (P + 1,) where the detections of each group start
    box_starts: IntArray  # (P + 1,)
    ranked: IntArray  # (D,) indices into `rows`, by class and descending score
    class_starts: IntArray  # (C + 1,) where each class starts in `ranked`
    image_count: int  # N


def coco_slices(
    truth: TruthTable, detections: DetectionTable, by_size: bool = True, protocol: Protocol = COCO
) -> tuple[Slice, ...]:
    """Return AREAS as slices; only the first, "all", without `by_size`."""
    left, top, right, bottom = detections.boxes.T
    area = (right - left) * (bottom - top)
    return tuple(
        Slice(name, (truth.area >= low) & (truth.area <= high), (area >= low) & (area <= high))
        for name, (low, high) in zip(AREAS[: None if by_size else 1], protocol.area_ranges, strict=False)
    )


def match_detections(
    truth: TruthTable,
    detections: DetectionTable,
    image_order: Sequence[int],
    classes: int,
    limit: int,
    slices: Sequence[Slice],
    thresholds: Sequence[float] = IOU_THRESHOLDS,
) -> MatchResult:
    """Match by COCO's protocol; arguments as for `group_detections` and `match_groups`."""
    return match_groups(group_detections(truth, detections, image_order, classes, limit), slices, thresholds)


def group_detections(
    truth: TruthTable, detections: DetectionTable, image_order: Sequence[int], classes: int, limit: int
) -> MatchGroups:
    """Sort detections and boxes by class and image; keep the detections of highest score in each group.

    Args:
        truth: the boxes.
        detections: the detections.
        image_order: the images in the order that ranks equal scores of different images.
        classes: C.
        limit: how many detections of one class in one image count.
    """
    place = np.empty(len(image_order), np.int64)
    place[np.asarray(image_order, np.int64)] = np.arange(len(image_order))
    places = place[detections.images]
    keys = detections.labels * len(place) + places  # (D,) one number per class and image
    truth_keys = truth.labels * len(place) + place[truth.images]  # (G,)
    by_image = ascending_order(places, len(place))
    by_score = by_image[descending_order(detections.scores[by_image])]  # equal scores go by image
    rows = by_score[ascending_order(places[by_score], len(place))]
    rows = rows[ascending_order(detections.labels[rows], classes)]
    sorted_keys = keys[rows]
    begins = np.flatnonzero(np.diff(sorted_keys, prepend=-1))  # where each group begins
    ranks = np.arange(len(rows)) - np.repeat(begins, np.diff(begins, append=len(rows)))
    if (beyond := ranks >= limit).any():
        rows, ranks, sorted_keys = rows[~beyond], ranks[~beyond], sorted_keys[~beyond]
    index_of_row = np.full(len(keys), -1)
    index_of_row[rows] = np.arange(len(rows))
    ranked = index_of_row[by_score[ascending_order(detections.labels[by_score], classes)]]
    boxes = np.argsort(truth_keys, kind="stable")
    groups = np.sort(np.concatenate([sorted_keys[ranks == 0], truth_keys[boxes]]), kind="stable")  # merges two lists
    groups = groups[np.diff(groups, prepend=-1) > 0]  # (P,) distinct keys
    return MatchGroups(
        truth=truth,
        detections=detections,
        rows=rows,
        ranks=ranks,
        boxes=boxes,
        detection_xywh=to_xywh(detections.boxes[rows]),
        box_xywh=to_xywh(truth.boxes[boxes]),
        starts=_starts(sorted_keys, groups),
        box_starts=_starts(truth_keys[boxes], groups),
        ranked=ranked[ranked >= 0],
        class_starts=np.searchsorted(detections.labels[rows], np.arange(classes + 1)),
        image_count=len(image_order),
    )


def match_groups(
    groups: MatchGroups, slices: Sequence[Slice], thresholds: Sequence[float] = IOU_THRESHOLDS
) -> MatchResult:
    """Match the detections of each group to its boxes, in every slice and at each IoU threshold."""
    truth, detections, rows, boxes = groups.truth, groups.detections, groups.rows, groups.boxes
    countable_boxes = _stack([part.boxes & ~truth.crowd for part in slices], len(truth.images))
    states = np.empty((len(slices), len(thresholds), len(rows)), np.int8)
    matches = np.empty(states.shape[1:], np.int32)
    output = np.empty(len(rows), np.int64)
    output[groups.ranked] = np.arange(len(rows))
    match(
        groups.detection_xywh,
        groups.starts,
        groups.box_xywh,
        groups.box_starts,
        truth.crowd[boxes],
        ~countable_boxes[:, boxes],
        ~_stack([part.detections[rows] for part in slices], len(rows)),
        np.asarray(thresholds),
        output,
        boxes,
        states,
        matches,
    )
    ranked = rows[groups.ranked]
    return MatchResult(
        rows=ranked,
        images=detections.images[ranked],
        ranks=groups.ranks[groups.ranked],
        starts=groups.class_starts,
        states=states,
        matches=matches,
        truth_images=truth.images,
        truth_labels=truth.labels,
        countable_boxes=countable_boxes,
        image_count=groups.image_count,
    )


def to_xywh(boxes: Float64Array) -> Float64Array:
    """Convert xyxy boxes (N, 4) to the (x, y, width, height) of pycocotools."""
    converted = boxes.copy()
    converted[:, 2:] -= boxes[:, :2]
    return converted


def _starts(keys: IntArray, groups: IntArray) -> IntArray:
    return np.append(np.searchsorted(keys, groups), len(keys))


def _stack(masks: list[BoolArray], length: int) -> BoolArray:
    return np.array(masks, np.bool_).reshape(len(masks), length)
