"""Find labels that were copied from one image to others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from anchorloc.doctor.annotation_table import AnnotationTable
from anchorloc.doctor.box_checks import WHOLE, covered_fraction
from anchorloc.doctor.document import CocoDocument
from anchorloc.doctor.findings import Findings, Reporter
from anchorloc.doctor.rules import Rule
from anchorloc.structures import BoolArray, Float64Array
from anchorloc.text import short_repr

MANY: Final = 5  # images with a box of the same numbers
MANY_OF_ALL: Final = 0.05  # fraction of the images with boxes
STEPS: Final = 2_000_000  # a side of the image has as many; edges given by fractions with six digits fall on one

_Annotated = tuple[CocoDocument, AnnotationTable]
_LabelSet = tuple[bytes, tuple[str, ...]]  # boxes and their classes


def check_copied_boxes(document: CocoDocument, table: AnnotationTable, findings: Findings) -> None:
    """Report each box whose four numbers come back in many images; boxes of nearly the whole image may do so."""
    rows = np.flatnonzero(_drawn(table))
    if not len(rows):
        return
    order = rows[np.lexsort(table.boxes[rows].T)]  # equal boxes follow each other, in the order of the file
    begins = np.append(True, (table.boxes[order[1:]] != table.boxes[order[:-1]]).any(axis=1))
    first, box_of = order[begins], np.cumsum(begins) - 1
    pairs = np.unique(box_of * len(table.image_rows) + table.images[order])  # one for each box and image
    images = np.bincount(pairs // len(table.image_rows), minlength=len(first))  # (B,) number of images with each box
    annotated = len(np.unique(table.images))
    reporter, items = Reporter(findings, document, "annotations"), document.items("annotations")
    for box in sorted(np.flatnonzero(images >= max(MANY, MANY_OF_ALL * annotated)), key=lambda box: first[box]):
        row = int(table.rows[first[box]])
        value = f"bbox {short_repr(items[row]['bbox'])} in {images[box]:,} of {annotated:,} images"
        reporter.add(Rule.COPIED_BOX, row, value)


def check_copied_labels(splits: Sequence[_Annotated], findings: Findings) -> None:
    """Report images with exactly the boxes and classes of an earlier image, as fractions of the image.

    Left out are images that other rules report: equal files, and files of the same name.
    """
    first: dict[_LabelSet, tuple[CocoDocument, int]] = {}
    for document, table in splits:
        same = set()
        for rule in (Rule.SAME_BYTES, Rule.LEAK, Rule.SAME_FILE_NAME, Rule.SHARED_FILE_NAME):
            same |= {case.row for case in findings.cases.get(rule, ()) if case.document is document}
        reporter = Reporter(findings, document, "images")
        for row, labels in _labels(table):
            other, earlier = first.setdefault(labels, (document, row))
            if (other, earlier) != (document, row) and row not in same:
                split = f"{other.split} " if other is not document and other.split else ""
                reporter.add(Rule.COPIED_LABELS, row, f"same as {split}{other.describe('images', earlier)}")


def _labels(table: AnnotationTable) -> list[tuple[int, _LabelSet]]:
    """Return the row of each image that has a drawn box, and its boxes and classes in a fixed order."""
    known = np.isfinite(table.box_sizes)
    sizes = np.where(known, table.box_sizes / STEPS, 1 / STEPS)[:, ::-1]
    columns = np.column_stack([np.rint(table.boxes / np.tile(sizes, 2)).astype(np.int64), table.labels])
    order = np.lexsort((*columns.T[::-1], table.images))
    columns, images = columns[order], table.images[order]
    ends = np.cumsum(np.bincount(images, minlength=len(table.image_rows)))
    drawn = np.bincount(table.images, _drawn(table), len(table.image_rows)) > 0
    names = tuple(table.class_names)
    found = []
    for index in np.flatnonzero(drawn).tolist():
        part = columns[ends[index - 1] if index else 0 : ends[index]]
        classes = tuple(names[label] if label >= 0 else "" for label in part[:, 4].tolist())
        found.append((int(table.image_rows[index]), (part[:, :4].tobytes(), classes)))
    return found


def _drawn(table: AnnotationTable) -> BoolArray:
    """Return which boxes someone drew: those with an area that leave some of the image."""
    fraction: Float64Array = covered_fraction(table.boxes, table.box_sizes)
    empty = (table.boxes[:, 2:] <= table.boxes[:, :2]).any(axis=1)
    return ~empty & ~table.crowd & (fraction <= WHOLE)
