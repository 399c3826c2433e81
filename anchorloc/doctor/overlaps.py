"""Find boxes of one image that nearly coincide, without an IoU matrix."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from anchorloc.boxes import paired_box_iou
from anchorloc.data.coco_annotations import has_size
from anchorloc.doctor.annotation_table import AnnotationTable
from anchorloc.doctor.document import CocoDocument
from anchorloc.doctor.findings import Findings, Reporter
from anchorloc.doctor.rules import Rule
from anchorloc.structures import Float64Array, IntArray
from anchorloc.text import short_repr

MIN_IOU = 0.95  # two boxes of this IoU count as one


def check_overlaps(document: CocoDocument, table: AnnotationTable, findings: Findings) -> None:
    """Report each box that nearly coincides with an earlier box of its image, of the same or of another class."""
    reporter = Reporter(findings, document, "annotations")
    usable = np.flatnonzero(has_size(table.boxes) & ~table.crowd & (table.labels >= 0))
    duplicates = earliest_duplicates(table.boxes[usable], table.images[usable], table.labels[usable])
    for rule, duplicate in zip((Rule.REPEATED_BOX, Rule.TWO_CLASSES), duplicates, strict=True):
        for index in np.flatnonzero(duplicate < len(duplicate)).tolist():
            later, earlier = int(usable[index]), int(usable[duplicate[index]])
            reporter.add(rule, int(table.rows[later]), _value(document, table, earlier, later))


def earliest_duplicates(boxes: Float64Array, images: IntArray, labels: IntArray) -> tuple[IntArray, IntArray]:
    """Return for each of M boxes the first earlier row of its image with IoU >= MIN_IOU, or M if there is none.

    The first array, (M,), holds rows of the same label; the second, (M,), rows of another label.

    IoU >= t requires that the common width is at least t times the greater width, so the left edges differ by at most
    (1 - t) / t times either width. Boxes are sorted by left edge; each is compared with the next one, the one after
    that and so on, until none is near enough. Equal boxes of one label are compared once.
    """
    keys = np.column_stack([images, labels, boxes])
    _, first, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    none = len(boxes)
    same, other = np.full(none, none), np.full(none, none)
    order = first[np.lexsort((boxes[first, 0], images[first]))]
    left, right = boxes[order, 0], boxes[order, 2]
    reach = left + (right - left) * ((1 - MIN_IOU) / MIN_IOU * (1 + 1e-9))
    for here, there in _neighbors(left, images[order], reach):
        one, two = order[here], order[there]
        near = paired_box_iou(boxes[one], boxes[two]) >= MIN_IOU
        one, two = one[near], two[near]
        same_label = labels[one] == labels[two]
        for earliest, chosen in ((same, same_label), (other, ~same_label)):
            np.minimum.at(earliest, one[chosen], two[chosen])
            np.minimum.at(earliest, two[chosen], one[chosen])
    representative = first[inverse.reshape(-1)]  # (M, 1) in NumPy 2.0
    same, other = np.minimum(same[representative], representative), other[representative]
    rows = np.arange(none)
    return np.where(same < rows, same, none), np.where(other < rows, other, none)


def _neighbors(left: Float64Array, image: IntArray, reach: Float64Array) -> Iterator[tuple[IntArray, IntArray]]:
    """Yield pairs of boxes in sorted order whose left edges are within reach, nearest neighbors first."""
    here = np.arange(len(left))
    for step in range(1, len(left)):
        here = here[here + step < len(left)]
        there = here + step
        close = (image[here] == image[there]) & (left[there] <= reach[here])
        here, there = here[close], there[close]
        if not len(here):
            return
        yield here, there


def _value(document: CocoDocument, table: AnnotationTable, earlier: int, later: int) -> str:
    items = document.items("annotations")
    other = document.describe("annotations", int(table.rows[earlier])).partition(" (")[0]
    names = [short_repr(table.class_names[table.labels[index]]) for index in (later, earlier)]
    classes = names[0] if names[0] == names[1] else " and ".join(names)
    return f"{classes}: bbox {short_repr(items[int(table.rows[later])]['bbox'])}, same as {other}"
