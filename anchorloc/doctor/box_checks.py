"""Check boxes against their images, their areas and the stride."""

from __future__ import annotations

import numpy as np

from anchorloc.data.coco_annotations import clip_boxes, has_size
from anchorloc.doctor.annotation_table import AnnotationTable
from anchorloc.doctor.document import CocoDocument
from anchorloc.doctor.findings import Findings, Reporter
from anchorloc.doctor.rules import Rule
from anchorloc.structures import BoolArray, Float64Array
from anchorloc.text import counted, short_repr

ROUNDING = 0.5  # px outside the image that rounding explains
WHOLE = 0.95  # fraction of the image that a box covers, from which it may stand for the whole image
THIN = 10  # times its short side; an anchor of 1:2 reaches an IoU of 0.29 with such a box


def check_boxes(document: CocoDocument, table: AnnotationTable, findings: Findings, stride: float) -> None:
    """Report boxes that are empty, outside their image, contradicted by their area, or smaller than `stride` pixels."""
    empty = ~has_size(table.boxes)
    inside = has_size(clip_boxes(table.boxes, table.box_sizes))
    excess = overshoot(table.boxes, table.box_sizes).max(axis=1, initial=0)
    sides = table.boxes[:, 2:] - table.boxes[:, :2]  # (M, 2) width, height
    small = ~empty & ~table.crowd & (sides < stride).all(axis=1)
    drawn = inside & ~table.crowd
    whole = drawn & (covered_fraction(table.boxes, table.box_sizes) > WHOLE)
    thin = drawn & (sides.max(axis=1, initial=0) >= THIN * sides.min(axis=1, initial=np.inf))
    reporter = Reporter(findings, document, "annotations")
    _report_boxes(reporter, table, Rule.EMPTY_BOX, empty)
    _report_boxes(reporter, table, Rule.OUTSIDE_BOX, ~empty & ~inside)
    _report_boxes(reporter, table, Rule.PARTLY_OUTSIDE, inside & (excess > ROUNDING))
    _report_boxes(reporter, table, Rule.WHOLE_IMAGE, whole)
    _report_boxes(reporter, table, Rule.THIN_BOX, thin)
    _report_areas(reporter, table)
    _report_small(reporter, table, sides, small)
    if not drawn.any():
        findings.add(Rule.NOTHING_TO_LEARN, document, "", -1, f"{counted(len(empty), 'box')} in all")
    elif 2 * (crowds := int(table.crowd.sum())) > len(empty):
        findings.add(Rule.MANY_CROWDS, document, "", -1, f"{crowds:,} of {counted(len(empty), 'box')}")


def covered_fraction(boxes: Float64Array, sizes: Float64Array) -> Float64Array:
    """Return the fraction (M,) of images of (M, 2) sizes that boxes (M, 4) cover; 0 in an image of unknown size."""
    clipped = clip_boxes(boxes, sizes)
    fraction: Float64Array = (clipped[:, 2:] - clipped[:, :2]).clip(0).prod(axis=1) / sizes.prod(axis=1)
    return fraction


def overshoot(boxes: Float64Array, sizes: Float64Array) -> Float64Array:
    """Return by how many pixels (M, 4) boxes leave images of (M, 2) sizes on each side, (M, 4); negative inside."""
    return np.concatenate([-boxes[:, :2], boxes[:, 2:] - sizes[:, ::-1]], axis=1)


def _report_boxes(reporter: Reporter, table: AnnotationTable, rule: Rule, breaks: BoolArray) -> None:
    items = reporter.document.items("annotations")
    for index in np.flatnonzero(breaks).tolist():
        row = int(table.rows[index])
        height, width = table.box_sizes[index]
        size = f"in {width:.0f} x {height:.0f} px" if np.isfinite(height) else "in an image of unknown size"
        reporter.add(rule, row, f"bbox {short_repr(items[row]['bbox'])} {size}")


def _report_areas(reporter: Reporter, table: AnnotationTable) -> None:
    """Report areas that differ from the box, or with a mask, whose area COCO means, exceed the box."""
    width, height = (table.boxes[:, 2:] - table.boxes[:, :2]).T
    excess = table.area - width * height
    tolerance = width + height + 1  # tolerates rounding and the +1 convention
    differs = np.where(table.has_segmentation, excess > tolerance, np.abs(excess) > tolerance)  # False for NaN, no area
    for index in np.flatnonzero(differs).tolist():
        value = f"area {table.area[index]:g}, box {width[index]:g} x {height[index]:g} px"
        reporter.add(Rule.AREA_DIFFERS, int(table.rows[index]), value)


def _report_small(reporter: Reporter, table: AnnotationTable, sides: Float64Array, small: BoolArray) -> None:
    names = [short_repr(name) for name in table.class_names]
    for index in np.flatnonzero(small).tolist():
        width, height = sides[index]
        label = table.labels[index]
        of_class = f" of {names[label]}" if label >= 0 else ""
        reporter.add(Rule.SMALL_BOX, int(table.rows[index]), f"{width:.3g} x {height:.3g} px{of_class}")
    if small.any():
        counts = np.bincount(table.labels[small & (table.labels >= 0)], minlength=len(names))
        largest = np.argsort(-counts, kind="stable")[:4]
        by_class = [f"{names[label]} {counts[label]:,}" for label in largest.tolist() if counts[label]]
        reporter.findings.summarize(Rule.SMALL_BOX, reporter.document, ", ".join(by_class))
