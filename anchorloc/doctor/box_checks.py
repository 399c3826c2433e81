"""Boxes against their images, and against the stride."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anchorloc.data.coco_annotations import clip_boxes, has_size
from anchorloc.doctor import rules as kinds
from anchorloc.doctor.annotation_table import Table
from anchorloc.doctor.document import Document
from anchorloc.doctor.findings import Findings, Notebook
from anchorloc.doctor.rules import Kind
from anchorloc.structures import BoolArray
from anchorloc.text import counted, short_repr

ROUNDING = 0.5  # px that a box may leave its image by: half a pixel is what rounding does


def check_boxes(document: Document, table: Table, findings: Findings, stride: float) -> None:
    """Note boxes that are empty, outside their image, at odds with their area, or smaller than `stride` pixels."""
    empty = ~has_size(table.boxes)
    inside = has_size(clip_boxes(table.boxes, table.box_sizes))
    over = overshoot(table.boxes, table.box_sizes).max(axis=1, initial=0)
    sides = table.boxes[:, 2:] - table.boxes[:, :2]  # (M, 2) width, height
    small = ~empty & ~table.crowd & (sides < stride).all(axis=1)
    notebook = Notebook(findings, document, "annotations")
    _note_boxes(notebook, table, kinds.EMPTY_BOX, empty)
    _note_boxes(notebook, table, kinds.OUTSIDE_BOX, ~empty & ~inside)
    _note_boxes(notebook, table, kinds.PARTLY_OUTSIDE, inside & (over > ROUNDING))
    _note_areas(notebook, table)
    _note_small(notebook, table, sides, small)
    if not (inside & ~table.crowd).any():
        findings.add(kinds.NOTHING_TO_LEARN, document, "", -1, f"{counted(len(empty), 'box', 'boxes')} in all")


def overshoot(boxes: NDArray[np.float64], sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return by how many pixels (M, 4) boxes leave images of (M, 2) sizes on each side, (M, 4); negative inside."""
    return np.concatenate([-boxes[:, :2], boxes[:, 2:] - sizes[:, ::-1]], axis=1)


def _note_boxes(notebook: Notebook, table: Table, kind: Kind, where: BoolArray) -> None:
    items = notebook.document.items("annotations")
    for place in np.flatnonzero(where).tolist():
        row = int(table.rows[place])
        height, width = table.box_sizes[place]
        size = f"in {width:.0f} x {height:.0f} px" if np.isfinite(height) else "in an image of unknown size"
        notebook.add(kind, row, f"bbox {short_repr(items[row]['bbox'])} {size}")


def _note_areas(notebook: Notebook, table: Table) -> None:
    """COCO's area is that of the mask, which fills its box at most; where there is no mask it is the box's."""
    width, height = (table.boxes[:, 2:] - table.boxes[:, :2]).T
    excess = table.area - width * height
    slack = width + height + 1  # by rounding, or by counting pixels, "+1"
    differs = np.where(table.masked, excess > slack, np.abs(excess) > slack)  # NaN, no area, is neither
    for place in np.flatnonzero(differs).tolist():
        value = f"area {table.area[place]:g}, box {width[place]:g} x {height[place]:g} px"
        notebook.add(kinds.AREA_DIFFERS, int(table.rows[place]), value)


def _note_small(notebook: Notebook, table: Table, sides: NDArray[np.float64], small: BoolArray) -> None:
    names = [short_repr(name) for name in table.class_names]
    for place in np.flatnonzero(small).tolist():
        width, height = sides[place]
        label = table.labels[place]
        of = f" of {names[label]}" if label >= 0 else ""
        notebook.add(kinds.SMALL_BOX, int(table.rows[place]), f"{width:.3g} x {height:.3g} px{of}")
    if small.any():
        counts = np.bincount(table.labels[small & (table.labels >= 0)], minlength=len(names))
        most = np.argsort(-counts, kind="stable")[:4]
        parts = [f"{names[label]} {counts[label]:,}" for label in most.tolist() if counts[label]]
        notebook.findings.note(kinds.SMALL_BOX, notebook.document, ", ".join(parts))
