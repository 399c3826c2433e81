"""Scores of subsets of the boxes: by size, shape, position and crowding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from anchorloc.metrics.analysis.matched import MatchedDetections
from anchorloc.metrics.analysis.nearest_boxes import NearestBoxes
from anchorloc.metrics.matching import AREA_RANGES, AREAS, IOU_THRESHOLDS, Slice, match_groups
from anchorloc.metrics.scores import mean_of_known
from anchorloc.metrics.weighted_ap import weighted_scores
from anchorloc.structures import BoolArray, Float64Array, IntArray

ASPECTS: Final = (0.5, 0.8, 1.25, 2.0)  # height / width at the borders between slices
CROWDED, ISOLATED = 0.3, 0.0  # IoU with another box of any class
BORDER = 1.0  # px: a box this nearest to the border of the image counts as cut


@dataclass(frozen=True)
class SliceScore:
    """The scores of one slice; None where a number does not exist."""

    group: str
    name: str
    boxes: int
    ap: float | None  # None also where detections belong to no slice (crowding)
    ap50: float | None
    recall50: float | None  # recall at IoU 0.5, at any score
    ar: float | None  # recall, mean over IoU 0.50 to 0.95
    iou: float | None  # mean over boxes of the best IoU with a detection of the class, 0 where there is none


@dataclass(frozen=True, eq=False)
class SliceGroup:
    """One way to divide boxes and detections into slices."""

    name: str
    names: tuple[str, ...]
    boxes: IntArray  # (G,) index of the slice of each box
    detections: IntArray | None  # (D,) index of the slice of each detection, if a detection has one


def slice_scores(matched: MatchedDetections, nearest: NearestBoxes, sizes: IntArray | None) -> tuple[SliceScore, ...]:
    """Score every slice of every group.

    Args:
        sizes: (N, 2) height and width of the images; without them the groups by border and position are left out.
    """
    groups = (
        _coco_sizes(matched),
        *_by_sides(matched),
        *(() if sizes is None else _by_place(matched, sizes)),
        _crowding(nearest),
    )
    hits = np.zeros((len(IOU_THRESHOLDS), len(matched.truth.images)), np.bool_)
    for hit, found in zip(hits, matched.match_result.matches, strict=True):
        hit[found[found >= 0]] = True
    return tuple(score for group in groups for score in _scores(matched, nearest, group, hits))


def _scores(
    matched: MatchedDetections, nearest: NearestBoxes, group: SliceGroup, hits: BoolArray
) -> Iterator[SliceScore]:
    ap_of = _ap(matched, group)
    for place, name in enumerate(group.names):
        mine = matched.countable_boxes & (group.boxes == place)
        if not mine.any():
            yield SliceScore(group.name, name, 0, None, None, None, None, None)
            continue
        recalls = hits[:, mine].mean(axis=1)
        ap = (None, None) if ap_of is None else (mean_of_known(ap_of[:, place]), mean_of_known(ap_of[:, place, 0]))
        shares = (float(recalls[0]), float(recalls.mean()), float(nearest.best_iou[mine].mean()))
        yield SliceScore(group.name, name, int(mine.sum()), *ap, *shares)


def _ap(matched: MatchedDetections, group: SliceGroup) -> Float64Array | None:
    """Return AP (C, slices, T) as COCO does for sizes: it ignores boxes and unmatched detections of other slices."""
    if group.detections is None:
        return None
    slices = [Slice(name, group.boxes == place, group.detections == place) for place, name in enumerate(group.names)]
    return weighted_scores(match_groups(matched.groups, slices)).ap


def _coco_sizes(matched: MatchedDetections) -> SliceGroup:
    """Divide by COCO's areas, but count a box on a border once: COCO counts it in both slices."""
    borders = [high for _, high in AREA_RANGES[1:-1]]
    place = np.searchsorted(borders, matched.truth.area), np.searchsorted(borders, _area(matched.detections.boxes))
    return SliceGroup("size (COCO)", AREAS[1:], *place)


def _by_sides(matched: MatchedDetections) -> Iterator[SliceGroup]:
    sides, found_sides = np.sqrt(matched.truth.area), np.sqrt(_area(matched.detections.boxes))
    shape, found_shape = _height_to_width(matched.truth.boxes), _height_to_width(matched.detections.boxes)
    yield _quartiles("size (quartiles)", sides, found_sides, matched.countable_boxes, " px")
    yield _between("height / width", shape, found_shape, ASPECTS, "")
    yield _quartiles("height / width (quartiles)", shape, found_shape, matched.countable_boxes, "")


def _quartiles(
    group: str, boxes: Float64Array, found: Float64Array, countable_boxes: BoolArray, unit: str
) -> SliceGroup:
    known = boxes[countable_boxes & np.isfinite(boxes)]
    borders = np.unique(np.quantile(known, [0.25, 0.5, 0.75])).tolist() if len(known) else []
    return _between(group, boxes, found, borders, unit)


def _between(group: str, boxes: Float64Array, found: Float64Array, borders: Sequence[float], unit: str) -> SliceGroup:
    marks = [f"{border:.3g}" for border in borders]
    if not marks:
        names: tuple[str, ...] = ("all",)
    else:
        middle = (f"{low} to {high}{unit}" for low, high in pairwise(marks))
        names = (f"under {marks[0]}{unit}", *middle, f"from {marks[-1]}{unit}")
    places = (np.searchsorted(borders, values, side="right") for values in (boxes, found))
    return SliceGroup(group, names, *places)


def _by_place(matched: MatchedDetections, sizes: IntArray) -> Iterator[SliceGroup]:
    tables = (matched.truth, matched.detections)
    cut = [_cut(table.boxes, sizes[table.images]).astype(int) for table in tables]
    yield SliceGroup("border of the image", ("inside", "cut by the border"), *cut)
    place = [_place(table.boxes, sizes[table.images]) for table in tables]
    yield SliceGroup("position in the image", ("center ninth", "along an edge", "in a corner"), *place)


def _cut(boxes: Float64Array, sizes: IntArray) -> BoolArray:
    far = boxes[:, 2:] >= sizes[:, ::-1] - BORDER
    return np.asarray((boxes[:, :2] <= BORDER).any(axis=1) | far.any(axis=1))


def _place(boxes: Float64Array, sizes: IntArray) -> IntArray:
    """Count the coordinates of the center in an outer third of the image: 0, 1 or 2."""
    center = (boxes[:, :2] + boxes[:, 2:]) / 2 / sizes[:, ::-1]
    return np.asarray((abs(center - 0.5) > 1 / 6).sum(axis=1))


def _crowding(nearest: NearestBoxes) -> SliceGroup:
    part = np.where(nearest.neighbor_iou >= CROWDED, 2, np.where(nearest.neighbor_iou > ISOLATED, 1, 0))
    names = ("isolated", "touches another box", f"crowded, IoU {CROWDED:g} and more")
    return SliceGroup("crowding", names, part, None)


def _area(boxes: Float64Array) -> Float64Array:
    return np.asarray((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))


def _height_to_width(boxes: Float64Array) -> Float64Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.nan_to_num((boxes[:, 3] - boxes[:, 1]) / (boxes[:, 2] - boxes[:, 0]), nan=1.0, posinf=1e9)
