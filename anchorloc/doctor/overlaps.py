"""Boxes of one image that nearly coincide, found without a matrix."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from anchorloc.boxes import paired_box_iou
from anchorloc.data.coco_annotations import has_size
from anchorloc.doctor import rules as kinds
from anchorloc.doctor.annotation_table import Table
from anchorloc.doctor.document import Document
from anchorloc.doctor.findings import Findings, Notebook
from anchorloc.structures import IntArray
from anchorloc.text import short_repr

NEAR = 0.95  # IoU from which two boxes are taken for one


def check_overlaps(document: Document, table: Table, findings: Findings) -> None:
    """Note each box that an earlier one of its image nearly coincides with, of its class or of another."""
    notebook = Notebook(findings, document, "annotations")
    usable = np.flatnonzero(has_size(table.boxes) & ~table.crowd & (table.labels >= 0))
    twins = earliest_twins(table.boxes[usable], table.images[usable], table.labels[usable])
    for kind, twin in zip((kinds.REPEATED_BOX, kinds.TWO_CLASSES), twins, strict=True):
        for place in np.flatnonzero(twin < len(twin)).tolist():
            later, earlier = int(usable[place]), int(usable[twin[place]])
            notebook.add(kind, int(table.rows[later]), _value(document, table, earlier, later))


def earliest_twins(boxes: NDArray[np.float64], images: IntArray, labels: IntArray) -> tuple[IntArray, IntArray]:
    """Return for each of M boxes the first row before it with IoU >= NEAR in its image, M where there is none.

    The first array, (M,), is of rows of the same label, the second of rows of another.

    IoU >= t asks that the common width is at least t of the greater width, so that the left edges lie within
    (1 - t) / t of either width. In the order of the left edges each box is compared with its next neighbor, the one
    after that and so on, as long as there is any so near. Equal boxes of one label are one box in this.
    """
    keys = np.column_stack([images, labels, boxes])
    _, first, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    none = len(boxes)
    same, other = np.full(none, none), np.full(none, none)
    order = first[np.lexsort((boxes[first, 0], images[first]))]
    left, right = boxes[order, 0], boxes[order, 2]
    reach = left + (right - left) * ((1 - NEAR) / NEAR * (1 + 1e-9))
    for here, there in _neighbors(left, images[order], reach):
        one, two = order[here], order[there]
        near = paired_box_iou(boxes[one], boxes[two]) >= NEAR
        one, two = one[near], two[near]
        alike = labels[one] == labels[two]
        for twin, chosen in ((same, alike), (other, ~alike)):
            np.minimum.at(twin, one[chosen], two[chosen])
            np.minimum.at(twin, two[chosen], one[chosen])
    representative = first[inverse]
    same, other = np.minimum(same[representative], representative), other[representative]
    rows = np.arange(none)
    return np.where(same < rows, same, none), np.where(other < rows, other, none)


def _neighbors(
    left: NDArray[np.float64], image: IntArray, reach: NDArray[np.float64]
) -> Iterator[tuple[IntArray, IntArray]]:
    here = np.arange(len(left))
    for step in range(1, len(left)):
        here = here[here + step < len(left)]
        there = here + step
        close = (image[here] == image[there]) & (left[there] <= reach[here])
        here, there = here[close], there[close]
        if not len(here):
            return
        yield here, there


def _value(document: Document, table: Table, earlier: int, place: int) -> str:
    items = document.items("annotations")
    other = document.describe("annotations", int(table.rows[earlier])).partition(" (")[0]
    names = [short_repr(table.class_names[table.labels[index]]) for index in (place, earlier)]
    classes = names[0] if names[0] == names[1] else " and ".join(names)
    return f"{classes}: bbox {short_repr(items[int(table.rows[place])]['bbox'])} as {other}"
