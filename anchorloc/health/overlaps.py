"""Boxes of one image that nearly coincide, found without a matrix."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from anchorloc.boxes import paired_box_iou
from anchorloc.data.coco_annotations import has_size
from anchorloc.data.flaws import short
from anchorloc.health import kinds
from anchorloc.health.document import Document
from anchorloc.health.findings import Findings, Notebook
from anchorloc.health.table import Table
from anchorloc.structures import IntArray

NEAR = 0.95  # IoU from which two boxes are taken for one


def check_overlaps(document: Document, table: Table, findings: Findings) -> None:
    """Note each box that an earlier one of its image nearly coincides with, of its class or of another."""
    notebook = Notebook(findings, document, "annotations")
    usable = np.flatnonzero(has_size(table.boxes) & ~table.crowd & (table.labels >= 0))
    first, second = near_pairs(table.boxes[usable], table.images[usable])
    first, second = usable[first], usable[second]
    alike = table.labels[first] == table.labels[second]
    for kind, chosen in ((kinds.REPEATED_BOX, alike), (kinds.TWO_CLASSES, ~alike)):
        later, where = np.unique(second[chosen], return_index=True)
        for place, earlier in zip(later.tolist(), first[chosen][where].tolist(), strict=True):
            notebook.add(kind, int(table.rows[place]), _value(document, table, earlier, place))


def near_pairs(boxes: NDArray[np.float64], images: IntArray) -> tuple[IntArray, IntArray]:
    """Return the pairs of (M, 4) boxes of one image with IoU >= NEAR, as (P,) lower and higher rows, ascending.

    IoU >= t asks that the common width is at least t of the greater width, so that the left edges lie within
    (1 - t) / t of either width. In the order of the left edges each box is compared with its next neighbor, the one
    after that and so on, as long as there is any so near.
    """
    order = np.lexsort((boxes[:, 0], images))
    left, image, right = boxes[order, 0], images[order], boxes[order, 2]
    reach = left + (right - left) * ((1 - NEAR) / NEAR * (1 + 1e-9))
    pairs = [np.empty((2, 0), np.int64)]
    for here, there in _neighbors(left, image, reach):
        near = paired_box_iou(boxes[order[here]], boxes[order[there]]) >= NEAR
        pairs.append(np.sort([order[here[near]], order[there[near]]], axis=0))
    first, second = np.concatenate(pairs, axis=1)
    by_row = np.lexsort((first, second))
    return first[by_row], second[by_row]


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
    names = [short(table.class_names[table.labels[index]]) for index in (place, earlier)]
    classes = names[0] if names[0] == names[1] else " and ".join(names)
    return f"{classes}: bbox {short(items[int(table.rows[place])]['bbox'])} as {other}"
