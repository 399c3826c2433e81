"""Detect files whose boxes are not COCO's x, y, width, height."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from anchorloc.data import Annotations
from anchorloc.data.coco_annotations import are_shares, has_size
from anchorloc.doctor.annotation_table import AnnotationTable
from anchorloc.doctor.box_checks import overshoot
from anchorloc.doctor.document import CocoDocument
from anchorloc.doctor.explanations import explain_outside
from anchorloc.doctor.findings import Findings
from anchorloc.doctor.rules import Rule
from anchorloc.structures import Size
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


def box_suspicion(source: Annotations) -> str | None:
    """Return in a sentence how else the boxes of a data set seem to be meant; None where they are as they should be."""
    targets = [source.target(index) for index in range(len(source))]
    images = np.repeat(np.arange(len(targets)), [len(target) for target in targets])
    sizes = np.array([source.size(index) for index in range(len(targets))], np.float64).reshape(-1, 2)
    boxes = np.concatenate([np.zeros((0, 4)), *(target.boxes for target in targets)])
    rows = np.arange(len(targets))
    table = replace(AnnotationTable.empty(), image_rows=rows, sizes=sizes, images=images, boxes=boxes)
    evidence, explanation = xyxy_evidence(table), explain_outside(table, {})
    if evidence.suspicious:
        return _sentence(Rule.LIKE_XYXY, str(evidence))
    if explanation is not None and len(boxes) >= MIN_BOXES:
        return _sentence(explanation.rule, explanation.words)
    return None


def _sentence(rule: Rule, words: str) -> str:
    return f"{rule.title} ({words}); {rule.advice}"


def check_box_format(
    document: CocoDocument, table: AnnotationTable, findings: Findings, of_files: Mapping[int, Size]
) -> None:
    """Report a file whose boxes seem to be x1, y1, x2, y2, normalized, of another scale, or of swapped sizes."""
    evidence, explanation = xyxy_evidence(table), explain_outside(table, of_files)
    if evidence.suspicious:
        findings.add(Rule.LIKE_XYXY, document, "", -1, str(evidence))
    elif explanation is not None:
        findings.add(explanation.rule, document, "", -1, explanation.words)
    if are_shares(table.boxes, table.box_sizes):
        boxes = counted(len(table.boxes), "box lies", "boxes lie")
        findings.add(Rule.LIKE_NORMALIZED, document, "", -1, f"{boxes} within 0 to 1, all but 2% at most")
