"""The numbers of parts of the boxes: by size, shape, place and crowding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from anchorloc.metrics.analysis.errors import known_mean
from anchorloc.metrics.analysis.matched import Case
from anchorloc.metrics.analysis.nearest import Nearest
from anchorloc.metrics.box_tables import Float64Array
from anchorloc.metrics.matching import AREA_RANGES, AREAS, IOU_THRESHOLDS, Slice, match_detections
from anchorloc.metrics.weighted_ap import weighted_curves
from anchorloc.structures import BoolArray, IntArray

ASPECTS: Final = (0.5, 0.8, 1.25, 2.0)  # borders of groups of height / width
CROWDED, ISOLATED = 0.3, 0.0  # IoU with another box of any class
BORDER = 1.0  # pixels from the border of the image: nearer, a box counts as cut


@dataclass(frozen=True)
class SliceScore:
    """The boxes of one part; None where a number does not exist."""

    group: str
    name: str
    boxes: int
    ap: float | None  # None too where a detection alone does not tell whether it belongs to the part
    ap50: float | None
    recall50: float | None  # share of the boxes found at IoU 0.5, at any score
    ar: float | None  # the same, mean over IoU 0.50 to 0.95
    iou: float | None  # mean IoU of the best detection of the right class, 0 where there is none


@dataclass(frozen=True, eq=False)
class Division:
    """One way to divide boxes and detections."""

    group: str
    names: tuple[str, ...]
    boxes: IntArray  # (G,) the part of each box
    detections: IntArray | None  # (D,) the part of each detection, if it has one


def slice_scores(case: Case, near: Nearest, sizes: IntArray | None) -> tuple[SliceScore, ...]:
    """Score every part of every division.

    Args:
        sizes: (N, 2) height and width of the images; without them nothing is said of the border and of places.
    """
    everything = (
        _coco_sizes(case),
        *_by_sides(case),
        *(() if sizes is None else _by_place(case, sizes)),
        _crowding(near),
    )
    hits = np.zeros((len(IOU_THRESHOLDS), len(case.truth.images)), np.bool_)
    for hit, found in zip(hits, case.outcomes.matches, strict=True):
        hit[found[found >= 0]] = True
    return tuple(score for division in everything for score in _scores(case, near, division, hits))


def _scores(case: Case, near: Nearest, division: Division, hits: BoolArray) -> Iterator[SliceScore]:
    curves = _ap(case, division)
    for part, name in enumerate(division.names):
        mine = case.to_find & (division.boxes == part)
        if not mine.any():
            yield SliceScore(division.group, name, 0, None, None, None, None, None)
            continue
        recalls = hits[:, mine].mean(axis=1)
        ap = (None, None) if curves is None else (known_mean(curves[:, part]), known_mean(curves[:, part, 0]))
        shares = (float(recalls[0]), float(recalls.mean()), float(near.best_iou[mine].mean()))
        yield SliceScore(division.group, name, int(mine.sum()), *ap, *shares)


def _ap(case: Case, division: Division) -> Float64Array | None:
    """(C, parts, T), by COCO's protocol for sizes: other boxes are ignored, and so is what finds nothing elsewhere."""
    if division.detections is None:
        return None
    parts = [
        Slice(name, division.boxes == part, division.detections == part) for part, name in enumerate(division.names)
    ]
    limit = int(case.outcomes.ranks.max(initial=0)) + 1
    matched = match_detections(case.truth, case.detections, case.order, len(case.categories), limit, parts)
    return weighted_curves(matched, limits=[limit]).ap


def _coco_sizes(case: Case) -> Division:
    """COCO's borders belong to both parts that they divide: no number here counts them twice."""
    borders = [high for _, high in AREA_RANGES[1:-1]]
    place = np.searchsorted(borders, case.truth.area), np.searchsorted(borders, _area(case.detections.boxes))
    return Division("size (COCO)", AREAS[1:], *place)


def _by_sides(case: Case) -> Iterator[Division]:
    sides, found_sides = np.sqrt(case.truth.area), np.sqrt(_area(case.detections.boxes))
    shape, found_shape = _height_to_width(case.truth.boxes), _height_to_width(case.detections.boxes)
    yield _quartiles("size (quarters of this data)", sides, found_sides, case.to_find, " px")
    yield _between("height / width", shape, found_shape, ASPECTS, "")
    yield _quartiles("height / width (quarters of this data)", shape, found_shape, case.to_find, "")


def _quartiles(group: str, boxes: Float64Array, found: Float64Array, to_find: BoolArray, unit: str) -> Division:
    known = boxes[to_find & np.isfinite(boxes)]
    borders = np.unique(np.quantile(known, [0.25, 0.5, 0.75])).tolist() if len(known) else []
    return _between(group, boxes, found, borders, unit)


def _between(group: str, boxes: Float64Array, found: Float64Array, borders: Sequence[float], unit: str) -> Division:
    marks = [f"{border:.3g}" for border in borders]
    if not marks:
        names: tuple[str, ...] = ("all",)
    else:
        middle = (f"{low} to {high}{unit}" for low, high in pairwise(marks))
        names = (f"under {marks[0]}{unit}", *middle, f"from {marks[-1]}{unit}")
    places = (np.searchsorted(borders, values, side="right") for values in (boxes, found))
    return Division(group, names, *places)


def _by_place(case: Case, sizes: IntArray) -> Iterator[Division]:
    tables = (case.truth, case.detections)
    cut = [_cut(table.boxes, sizes[table.images]).astype(int) for table in tables]
    yield Division("border of the image", ("inside", "cut by the border"), *cut)
    place = [_place(table.boxes, sizes[table.images]) for table in tables]
    yield Division("place in the image", ("middle ninth", "along an edge", "in a corner"), *place)


def _cut(boxes: Float64Array, sizes: IntArray) -> BoolArray:
    far = boxes[:, 2:] >= sizes[:, ::-1] - BORDER
    return np.asarray((boxes[:, :2] <= BORDER).any(axis=1) | far.any(axis=1))


def _place(boxes: Float64Array, sizes: IntArray) -> IntArray:
    """How many coordinates of the center lie in an outer third of the image: 0, 1 or 2."""
    center = (boxes[:, :2] + boxes[:, 2:]) / 2 / sizes[:, ::-1]
    return np.asarray((abs(center - 0.5) > 1 / 6).sum(axis=1))


def _crowding(near: Nearest) -> Division:
    part = np.where(near.neighbor_iou >= CROWDED, 2, np.where(near.neighbor_iou > ISOLATED, 1, 0))
    names = ("isolated", "touches another box", f"crowded, IoU {CROWDED:g} and more")
    return Division("crowding", names, part, None)


def _area(boxes: Float64Array) -> Float64Array:
    return np.asarray((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))


def _height_to_width(boxes: Float64Array) -> Float64Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.nan_to_num((boxes[:, 3] - boxes[:, 1]) / (boxes[:, 2] - boxes[:, 0]), nan=1.0, posinf=1e9)
