"""Draw the images with the most boxes that have no positive anchor."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anchorloc.data import Source
from anchorloc.errors import InputError
from anchorloc.lab.anchor_coverage import BoxStatus
from anchorloc.lab.inspection import Inspection
from anchorloc.report.picture import LONGEST_SIDE, BoxKind, DrawnBox, DrawnPicture, data_uri, xywh
from anchorloc.text import counted, first_few, shorten

MAX_PICTURES = 9  # per split
MAX_SIZES = 3  # in a caption; boxes.csv has all of them
MAX_BOXES = 200  # drawn on one picture
GRAY = 96  # pixel value of an image that cannot be read
STATUS_MARKS: dict[BoxStatus, tuple[BoxKind, str]] = {
    BoxStatus.ASSIGNED: ("truth", "has a positive anchor"),
    BoxStatus.COLLISION: ("wrong", "other boxes have its anchors"),
    BoxStatus.NO_ANCHOR: ("missed", "no anchor is assigned to it"),
}


def unassigned_pictures(one: Inspection) -> list[DrawnPicture]:
    """Return the images with the most boxes without a positive anchor; an image that cannot be read is gray.

    Boxes are drawn as annotated. The caption has their sizes as the network gets them.
    """
    boxes = one.coverage.boxes
    images, counts = np.unique(boxes.images[~boxes.assigned], return_counts=True)
    chosen = images[np.argsort(-counts, kind="stable")[:MAX_PICTURES]]
    return [_picture(one, int(index)) for index in chosen]


def _picture(one: Inspection, index: int) -> DrawnPicture:
    source, target = one.views.source, one.views.source.target(index)
    worst = _worst(one, index)
    statuses = {row: status for row, (status, _) in worst.items()}
    marks = [
        _mark(one, statuses.get(row, BoxStatus.ASSIGNED), box, int(label), row)
        for box, label, row in zip(target.boxes, target.labels, target.rows.tolist(), strict=True)
    ]
    marks.sort(key=lambda mark: mark.kind != "truth")  # boxes without an anchor are drawn on top
    sizes = [size for status, size in worst.values() if status != BoxStatus.ASSIGNED]
    how = "after augmentation, which may cut them" if one.views.epochs else "in network pixels"
    caption = (
        f"{one.name}: {len(sizes)} of {counted(len(target), 'box')} without a positive anchor, drawn as annotated; "
        f"{how}: {first_few(sizes, MAX_SIZES)}"
    )
    height, width = source.size(index)
    href = data_uri(_pixels(one, index))
    return DrawnPicture(shorten(source.name(index)), caption, width, height, href, marks[-MAX_BOXES:])


def _worst(one: Inspection, index: int) -> dict[int, tuple[BoxStatus, str]]:
    """Return, by row in the file, the worst status of a box over all passes, and its size there in network pixels."""
    boxes = one.coverage.boxes
    here = boxes.images == index
    worst: dict[int, tuple[BoxStatus, str]] = {}
    columns = (column[here].tolist() for column in (boxes.rows, boxes.status, boxes.sizes))
    for row, status, (width, height) in zip(*columns, strict=True):
        if row not in worst or status > worst[row][0]:
            worst[row] = BoxStatus(status), f"{width:.1f} x {height:.1f} px"
    return worst


def _mark(one: Inspection, status: BoxStatus, box: NDArray[np.floating], label: int, row: int) -> DrawnBox:
    words = shorten(one.views.source.categories[label].shown_name, 24)
    kind, said = STATUS_MARKS[status]
    annotation = shorten(str(one.views.source.annotation_id(row)), 24)
    x, y, width, height = xywh(box)
    title = f"annotation {annotation}: {words}, {width:g} x {height:g} px, {said}"
    return DrawnBox(kind, (x, y, width, height), "" if status == BoxStatus.ASSIGNED else words, title)


def _pixels(one: Inspection, index: int) -> NDArray[np.uint8]:
    source = one.views.source
    if isinstance(source, Source):
        try:
            return source.image(index)
        except InputError:
            pass  # the lab needs annotations only
    height, width = source.size(index)
    scale = min(1.0, LONGEST_SIDE / max(height, width))
    return np.full((max(1, int(height * scale)), max(1, int(width * scale)), 3), GRAY, np.uint8)
