"""Detect files whose boxes are not COCO's x, y, width, height, and convert x1, y1, x2, y2."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anchorloc.data.coco_annotations import are_shares, has_size
from anchorloc.doctor.annotation_table import AnnotationTable
from anchorloc.doctor.box_checks import overshoot
from anchorloc.doctor.document import CocoDocument
from anchorloc.doctor.explanations import explain_outside
from anchorloc.doctor.findings import Findings
from anchorloc.doctor.rules import Rule
from anchorloc.errors import InputError
from anchorloc.structures import Float64Array
from anchorloc.text import counted

MIN_OVERSHOOT = 0.02  # fraction of the image's side; a smaller overshoot may be careless annotation
MIN_OUTSIDE = 0.2  # fraction of the boxes; fewer outside have another cause
MIN_AGREEMENT = 0.98  # fraction of the boxes; allows a few boxes with other errors
MIN_BOXES = 5  # fewer boxes prove nothing


@dataclass(frozen=True)
class XyxyEvidence:
    """How many boxes fit their images as x, y, width, height, and how many as x1, y1, x2, y2."""

    boxes: int  # with area, in images of known size
    outside_as_xywh: int  # clearly leave the image as x, y, width, height
    inside_as_xyxy: int  # leave the image as x, y, width, height, but fit as x1, y1, x2, y2
    invalid_as_xyxy: int  # boxes with x2 < x1 or y2 < y1 as x1, y1, x2, y2

    @property
    def suspicious(self) -> bool:
        """Whether nearly all boxes can be x1, y1, x2, y2, and many can be nothing else.

        In such a file, read as x, y, width, height, a box leaves its image if its center is in the right or lower
        half: 3 of 4 boxes if objects are anywhere. In a correct file no box leaves its image, and boxes with width < x
        or height < y, which are invalid as x1, y1, x2, y2, are common.
        """
        return (
            self.outside_as_xywh >= max(MIN_BOXES, MIN_OUTSIDE * self.boxes)
            and self.inside_as_xyxy >= MIN_AGREEMENT * self.outside_as_xywh
            and self.mostly_valid_as_xyxy
        )

    @property
    def mostly_valid_as_xyxy(self) -> bool:
        return self.invalid_as_xyxy <= (1 - MIN_AGREEMENT) * self.boxes

    def __str__(self) -> str:
        return (
            f"as x, y, width, height {self.outside_as_xywh:,} of {self.boxes:,} boxes leave the image; as x1, y1, x2, "
            f"y2 {self.inside_as_xyxy:,} of these fit, and {self.invalid_as_xyxy:,} of all are invalid"
        )


def xyxy_evidence(table: AnnotationTable) -> XyxyEvidence:
    """Count the boxes that fit either format."""
    usable = np.isfinite(table.box_sizes).all(axis=1) & has_size(table.boxes)
    boxes, sizes = table.boxes[usable], table.box_sizes[usable]
    tolerance = MIN_OVERSHOOT * np.concatenate([sizes, sizes], axis=1)[:, [1, 0, 1, 0]]
    corners = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)  # the four numbers of the file
    outside = (overshoot(boxes, sizes) > tolerance).any(axis=1)
    invalid = (corners[:, 2:] < corners[:, :2]).any(axis=1)
    fits = ~invalid & (overshoot(corners, sizes) <= tolerance).all(axis=1)
    return XyxyEvidence(len(boxes), int(outside.sum()), int((outside & fits).sum()), int(invalid.sum()))


def check_box_format(document: CocoDocument, table: AnnotationTable, findings: Findings) -> None:
    """Report a file whose boxes seem to be x1, y1, x2, y2, normalized, of another scale, or of swapped sizes."""
    evidence, explanation = xyxy_evidence(table), explain_outside(table)
    if evidence.suspicious:
        findings.add(Rule.LIKE_XYXY, document, "", -1, str(evidence))
    elif explanation is not None:
        findings.add(explanation.rule, document, "", -1, explanation.words)
    if are_shares(table.boxes, table.box_sizes):
        boxes = counted(len(table.boxes), "box lies", "boxes lie")
        findings.add(Rule.LIKE_NORMALIZED, document, "", -1, f"{boxes} within 0 to 1, all but 2% at most")


def xyxy_to_xywh(document: CocoDocument, table: AnnotationTable) -> tuple[CocoDocument, int]:
    """Return the document with its boxes, read as x1, y1, x2, y2, written as x, y, width, height, and their number.

    Raises:
        InputError: too many boxes are invalid as x1, y1, x2, y2.
    """
    evidence = xyxy_evidence(table)
    if not evidence.mostly_valid_as_xyxy:
        raise InputError(
            f"{document.path}: {evidence.invalid_as_xyxy:,} of {evidence.boxes:,} boxes have x2 < x1 or y2 < y1 if "
            "read as x1, y1, x2, y2; leave out --fix-xyxy"
        )
    items = list(document.items("annotations"))
    rows = table.rows.tolist()
    for row in rows:
        x1, y1, x2, y2 = items[row]["bbox"]
        items[row] = {**items[row], "bbox": [x1, y1, x2 - x1, y2 - y1]}
    return document.with_content({**document.content, "annotations": items}), len(rows)


def exchange_sizes(document: CocoDocument, table: AnnotationTable) -> tuple[CocoDocument, int]:
    """Return the document with width and height of every image exchanged, and the number of images."""
    items = list(document.items("images"))
    rows = table.image_rows[np.isfinite(table.sizes).all(axis=1)].tolist()
    for row in rows:
        items[row] = {**items[row], "width": items[row]["height"], "height": items[row]["width"]}
    return document.with_content({**document.content, "images": items}), len(rows)


def divide_boxes(document: CocoDocument, table: AnnotationTable, factor: float) -> tuple[CocoDocument, int]:
    """Return the document with every box divided by `factor`, and the number of boxes."""
    return _scaled(document, table, np.full((len(table.rows), 2), 1 / factor))


def multiply_shares(document: CocoDocument, table: AnnotationTable) -> tuple[CocoDocument, int]:
    """Return the document with every box multiplied by the size of its image, and the number of boxes.

    Raises:
        InputError: an image has no size.
    """
    if not np.isfinite(table.box_sizes).all():
        raise InputError(f"{document.path}: an image has no width and height, which --fix-shares needs; add them")
    return _scaled(document, table, table.box_sizes[:, ::-1])


def _scaled(document: CocoDocument, table: AnnotationTable, factors: Float64Array) -> tuple[CocoDocument, int]:
    """Multiply boxes by (M, 2) factors in x and y; masks, which would no longer fit, are left out."""
    items = list(document.items("annotations"))
    for row, (across, down) in zip(table.rows.tolist(), factors.tolist(), strict=True):
        x, y, width, height = items[row]["bbox"]
        bbox = [x * across, y * down, width * across, height * down]
        kept = {key: value for key, value in items[row].items() if key != "segmentation"}
        items[row] = {**kept, "bbox": bbox, "area": bbox[2] * bbox[3]}
    return document.with_content({**document.content, "annotations": items}), len(table.rows)
