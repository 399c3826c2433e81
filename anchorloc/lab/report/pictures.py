"""The images whose boxes no anchor learns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anchorloc.data import Source
from anchorloc.errors import InputError
from anchorloc.lab.anchor_coverage import Fate
from anchorloc.lab.inspection import Inspection
from anchorloc.report.picture import LONGEST_SIDE, DrawnPicture, Kind, Mark, data_uri, xywh
from anchorloc.text import counted, shorten

MOST_PICTURES = 9  # of a split
MOST_SIZES = 3  # in a caption; the table below and boxes.csv have them all
MOST_MARKS = 200  # on one picture
GRAY = 96  # where there is no image to show
FATES: dict[Fate, tuple[Kind, str]] = {
    Fate.LEARNED: ("truth", "an anchor learns it"),
    Fate.COLLISION: ("wrong", "other boxes have its anchors"),
    Fate.NO_ANCHOR: ("missed", "no anchor learns it"),
}


def lost_pictures(one: Inspection) -> list[DrawnPicture]:
    """Return the images with the most boxes that have no anchor, each box drawn as annotated, with the size that the
    network meets it at; an image that cannot be read is gray."""
    boxes = one.survey.boxes
    images, counts = np.unique(boxes.images[~boxes.learned], return_counts=True)
    chosen = images[np.argsort(-counts, kind="stable")[:MOST_PICTURES]]
    return [_picture(one, int(index)) for index in chosen]


def _picture(one: Inspection, index: int) -> DrawnPicture:
    source, target = one.views.source, one.views.source.target(index)
    met = _worst(one, index)
    fates = {row: fate for row, (fate, _) in met.items()}
    marks = [
        _mark(one, fates.get(row, Fate.LEARNED), box, int(label), row)
        for box, label, row in zip(target.boxes, target.labels, target.rows.tolist(), strict=True)
    ]
    marks.sort(key=lambda mark: mark.kind != "truth")  # what is lost on top
    lost = sum(fate != Fate.LEARNED for fate in fates.values())
    sizes = [size for fate, size in met.values() if fate != Fate.LEARNED]
    more = f" and {len(sizes) - MOST_SIZES} more" if len(sizes) > MOST_SIZES else ""
    how = "after augmentation, which may cut it" if one.views.epochs else "by the network"
    caption = (
        f"{one.name}: {lost} of {counted(len(target), 'box')} without an anchor; drawn as annotated, met {how}, as "
        f"{', '.join(sizes[:MOST_SIZES])}{more}"
    )
    height, width = source.size(index)
    href = data_uri(_pixels(one, index))
    return DrawnPicture(shorten(source.name(index)), caption, width, height, href, marks[-MOST_MARKS:])


def _worst(one: Inspection, index: int) -> dict[int, tuple[Fate, str]]:
    """By row in the file, over all passes, the worst fate and the size in network pixels at which the box met it."""
    boxes = one.survey.boxes
    here = boxes.images == index
    worst: dict[int, tuple[Fate, str]] = {}
    columns = (column[here].tolist() for column in (boxes.rows, boxes.fate, boxes.sizes))
    for row, fate, (width, height) in zip(*columns, strict=True):
        if row not in worst or fate > worst[row][0]:
            worst[row] = Fate(fate), f"{width:.1f} x {height:.1f} px"
    return worst


def _mark(one: Inspection, fate: Fate, box: NDArray[np.floating], label: int, row: int) -> Mark:
    words = shorten(one.views.source.categories[label].name, 24)
    kind, said = FATES[fate]
    annotation = shorten(str(one.views.source.annotation_id(row)), 24)
    x, y, width, height = xywh(box)
    title = f"annotation {annotation}: {words}, {width:g} x {height:g} px, {said}"
    return Mark(kind, (x, y, width, height), "" if fate == Fate.LEARNED else words, title)


def _pixels(one: Inspection, index: int) -> NDArray[np.uint8]:
    source = one.views.source
    if isinstance(source, Source):
        try:
            return source.image(index)
        except InputError:
            pass  # annotations alone are enough for the lab
    height, width = source.size(index)
    scale = min(1.0, LONGEST_SIDE / max(height, width))
    return np.full((max(1, int(height * scale)), max(1, int(width * scale)), 3), GRAY, np.uint8)
