"""Suspicions that a whole file has its boxes in another format than COCO's x, y, width, height."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anchorloc.data.coco_annotations import has_size
from anchorloc.doctor import rules as kinds
from anchorloc.doctor.annotation_table import Table
from anchorloc.doctor.box_checks import overshoot
from anchorloc.doctor.document import Document
from anchorloc.doctor.findings import Findings

CLEARLY = 0.02  # of the image's side: boxes that leave it by less may be drawn carelessly
LEAVING = 0.2  # of the boxes: fewer that leave are careless, or another mistake
ALIKE = 0.98  # of the boxes: a few may be broken in yet another way
FEWEST = 5  # boxes that leave: fewer prove nothing


@dataclass(frozen=True)
class XyxyEvidence:
    """How the numbers of M boxes fit their images in either reading."""

    boxes: int  # of images whose size is known
    leaving: int  # read as x, y, width, height they clearly leave the image
    mended: int  # of these, inside if read as x1, y1, x2, y2
    impossible: int  # of all, with x2 < x1 or y2 < y1 if so read

    @property
    def suspicious(self) -> bool:
        """Whether nearly all boxes can be x1, y1, x2, y2, and a good part can be nothing else.

        In such a file a box leaves its image, read as COCO has it, when its center is in the right or in the lower
        half: 3 of 4 where objects are anywhere. In a sound file none leaves, and boxes with width < x or height < y,
        which no other reading allows, are common.
        """
        return (
            self.leaving >= max(FEWEST, LEAVING * self.boxes)
            and self.mended >= ALIKE * self.leaving
            and self.impossible <= (1 - ALIKE) * self.boxes
        )

    def __str__(self) -> str:
        return (
            f"as x, y, width, height {self.leaving:,} of {self.boxes:,} leave the image; {self.mended:,} of these fit "
            f"as x1, y1, x2, y2, which {self.impossible:,} of all cannot be"
        )


def weigh_xyxy(table: Table) -> XyxyEvidence:
    """Count what speaks for and against the boxes being x1, y1, x2, y2."""
    known = np.isfinite(table.box_sizes).all(axis=1) & has_size(table.boxes)
    boxes, sizes = table.boxes[known], table.box_sizes[known]
    slack = CLEARLY * np.concatenate([sizes, sizes], axis=1)[:, [1, 0, 1, 0]]
    corners = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)  # the four numbers of the file
    leaving = (overshoot(boxes, sizes) > slack).any(axis=1)
    impossible = (corners[:, 2:] < corners[:, :2]).any(axis=1)
    fits = ~impossible & (overshoot(corners, sizes) <= slack).all(axis=1)
    return XyxyEvidence(len(boxes), int(leaving.sum()), int((leaving & fits).sum()), int(impossible.sum()))


def check_formats(document: Document, table: Table, findings: Findings) -> None:
    """Note a file that seems to hold x1, y1, x2, y2, or shares of the image."""
    evidence = weigh_xyxy(table)
    if evidence.suspicious:
        findings.add(kinds.LIKE_XYXY, document, "", -1, str(evidence))
    boxes = len(table.boxes)
    in_shares = int((np.abs(table.boxes) <= 1.001).all(axis=1).sum())
    if boxes >= FEWEST and in_shares >= ALIKE * boxes:
        value = f"{in_shares:,} of {boxes:,} boxes lie within 0 to 1"
        findings.add(kinds.LIKE_SHARES, document, "", -1, value)
