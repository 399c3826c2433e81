"""Compare boxes with the polygons of their objects."""

from __future__ import annotations

from typing import Final

import numpy as np

from anchorloc.boxes import paired_box_iou
from anchorloc.data.coco_annotations import clip_boxes, has_size
from anchorloc.data.formats.coco_folder import polygon_box
from anchorloc.doctor.annotation_table import AnnotationTable
from anchorloc.doctor.document import CocoDocument
from anchorloc.doctor.findings import Findings, Reporter
from anchorloc.doctor.masks import CLOSE
from anchorloc.doctor.rules import Rule
from anchorloc.text import short_repr

MIN_IOU: Final = 0.5  # careless clicks leave a box and the box around its polygon above it


def check_polygons(document: CocoDocument, table: AnnotationTable, findings: Findings) -> None:
    """Report boxes that lie elsewhere than the polygon of their annotation."""
    items = document.items("annotations")
    rows: list[int] = []  # indices in the table
    around: list[tuple[float, float, float, float]] = []
    rows_of_file = table.rows.tolist()
    for index in np.flatnonzero(table.has_segmentation & ~table.crowd).tolist():
        mask = items[rows_of_file[index]]["segmentation"]
        if mask is not True and (box := polygon_box(mask)) is not None:  # True: `condensed` has compared them
            rows.append(index)
            around.append(box)
    if not rows:
        return
    boxes, polygons = table.boxes[rows], np.array(around, np.float64)
    inside = clip_boxes(polygons, table.box_sizes[rows])  # tools clip the box and not always the polygon
    far = np.abs(boxes - inside).max(axis=1) > CLOSE
    far &= paired_box_iou(boxes, inside) < MIN_IOU
    far &= has_size(boxes) & has_size(polygons)
    reporter = Reporter(findings, document, "annotations")
    for place in np.flatnonzero(far).tolist():
        row = int(table.rows[rows[place]])
        left, top, right, bottom = around[place]
        value = f"bbox {short_repr(items[row]['bbox'])}, polygon {left:g} to {right:g}, {top:g} to {bottom:g} px"
        reporter.add(Rule.FAR_POLYGON, row, value)
