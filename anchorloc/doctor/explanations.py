"""One explanation for many boxes outside their images, so that no mend cuts or removes sound labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from anchorloc.data.coco_annotations import has_size
from anchorloc.doctor.annotation_table import AnnotationTable
from anchorloc.doctor.box_checks import ROUNDING, overshoot
from anchorloc.doctor.findings import Findings
from anchorloc.doctor.rules import Rule
from anchorloc.structures import BoolArray, Float64Array, Size

ENOUGH: Final = 0.9  # fraction of the boxes that an explanation must put inside
FEW: Final = 0.6  # fraction of the boxes inside as written, from which on each of the others has its own mistake
ALL: Final = 0.98  # fraction of the boxes; a reading other than a scale that puts so many inside explains
MANY: Final = 0.9  # up to this fraction of the boxes inside as written, of at least
MIN_OUTSIDE: Final = 5  # boxes outside
CARELESS: Final = 0.02  # fraction of the image's side; so far outside, a box may be drawn carelessly
FACTORS: Final = (1.25, 4 / 3, 1.5, 1.6, 5 / 3, 2, 2.5, 3, 4, 5, 6, 8, 10)  # between usual sizes of images
EXPLAINED: Final = (Rule.LIKE_XYXY, Rule.LIKE_CENTERS, Rule.LIKE_NORMALIZED, Rule.SWAPPED_SIZES, Rule.OTHER_SCALE)


@dataclass(frozen=True)
class Explanation:
    """A reading of a file that puts nearly all of its boxes inside their images."""

    rule: Rule
    words: str  # the counts


def explain_outside(table: AnnotationTable, of_files: Mapping[int, Size]) -> Explanation | None:
    """Return the reading that puts most boxes inside, at least `ENOUGH`, if under `FEW` are inside as written.

    Where up to `MANY` are inside as written, it has to put `ALL` inside. A scale comes last, and never explains few
    boxes outside: any large factor puts all inside.

    Args:
        table: the boxes and the declared sizes.
        of_files: sizes of image files by the row of the image, to which a scale refers.
    """
    usable = np.isfinite(table.box_sizes).all(axis=1) & has_size(table.boxes)
    boxes, sizes = table.boxes[usable], table.box_sizes[usable]
    total = len(boxes)
    written = int((overshoot(boxes, sizes) <= CARELESS * np.tile(sizes[:, ::-1], 2)).all(axis=1).sum())
    if not total or written > MANY * total:
        return None
    corners = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)  # the four numbers of the file
    halves = (boxes[:, 2:] - boxes[:, :2]) / 2
    readings: list[tuple[Rule, str, BoolArray]] = [
        (Rule.SWAPPED_SIZES, "with width and height exchanged", _inside(boxes, sizes[:, ::-1])),
        (Rule.LIKE_XYXY, "as x1, y1, x2, y2", _inside(corners, sizes) & has_size(corners)),
        (Rule.LIKE_CENTERS, "with x and y as the center", _inside(boxes - np.tile(halves, 2), sizes)),
    ]
    readings.sort(key=lambda reading: -int(reading[2].sum()))  # the first of equals stays first
    needed = ENOUGH
    if written < FEW * total:
        readings.append(_scale(boxes, table.with_sizes(of_files, always=True).box_sizes[usable]))
    elif total - written >= MIN_OUTSIDE:
        needed = ALL
    else:
        return None
    for rule, words, inside in readings:
        if (number := int(inside.sum())) >= needed * total:
            return Explanation(rule, f"inside: {written:,} of {total:,} as written, {number:,} {words}")
    return None


def _scale(boxes: Float64Array, sizes: Float64Array) -> tuple[Rule, str, BoolArray]:
    """Return the reading by the smallest factor that puts `ENOUGH` of the boxes inside and no fewer than the next one.

    A smaller factor leaves boxes near the edges of their images outside. Boxes that fit as they are need none.
    """
    if _inside(boxes, sizes).sum() >= ENOUGH * len(boxes):
        return Rule.OTHER_SCALE, "", np.zeros(len(boxes), np.bool_)
    inside = [_inside(boxes, factor * sizes) for factor in FACTORS]
    numbers = [int(one.sum()) for one in inside]
    enough = (number >= ENOUGH * len(boxes) and number >= after for number, after in pairwise([*numbers, 0]))
    best = next((place for place, is_enough in enumerate(enough) if is_enough), -1)
    return Rule.OTHER_SCALE, f"divided by {FACTORS[best]:g}", inside[best]


def is_explained(findings: Findings) -> bool:
    """Return whether one reading explains the boxes outside, or all boxes: then none is cut or removed for it."""
    return any(rule in findings.cases for rule in EXPLAINED)


def advice_for(rule: Rule, findings: Findings) -> str:
    """Return what to do about a rule; --fix leaves boxes and areas as they are where one reading explains the file."""
    if rule in (Rule.OUTSIDE_BOX, Rule.PARTLY_OUTSIDE) and is_explained(findings):
        return "one reading of the file explains it; --fix leaves such boxes"
    if rule is Rule.AREA_DIFFERS and is_explained(findings):
        return "the boxes may be misread (above); --fix leaves such areas"
    return rule.advice


def _inside(boxes: Float64Array, sizes: Float64Array) -> BoolArray:
    """Return which boxes (M, 4) lie in images of (M, 2) sizes."""
    return np.asarray((overshoot(boxes, sizes) <= ROUNDING).all(axis=1), np.bool_)
