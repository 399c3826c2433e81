"""Conversions of a whole file that the user asks for: how its boxes or sizes are meant."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from anchorloc.doctor.annotation_table import AnnotationTable
from anchorloc.doctor.box_format import xyxy_evidence
from anchorloc.doctor.diagnosis import Diagnosis
from anchorloc.doctor.document import CocoDocument
from anchorloc.doctor.rules import Rule
from anchorloc.errors import InputError
from anchorloc.structures import Float64Array, IntArray, Size

Conversion = Callable[[CocoDocument, AnnotationTable], tuple[CocoDocument, int]]


def chosen_conversion(options: Namespace, diagnosis: Diagnosis) -> tuple[Conversion, str, str] | None:
    """Return the conversion that options ask for, if any, with the noun and the action of the summary."""
    if options.fix_xyxy:
        return xyxy_to_xywh, "box", "converted from x1, y1, x2, y2 to x, y, width, height"
    if options.fix_centers:
        return centers_to_xywh, "box", "converted from center x, center y, width, height to x, y, width, height"
    if options.fix_swapped:
        return exchange_sizes, "image", "width and height exchanged"
    if options.fix_shares:
        return multiply_shares, "box", "multiplied by the size of its image"
    if options.fix_scale:
        return partial(divide_boxes, factor=options.fix_scale), "box", f"divided by {options.fix_scale:g}"
    if options.fix_resized:
        rows = diagnosis.findings.rows(Rule.SIZE_DIFFERS, "images")
        sizes = {file.row: file.size for file in diagnosis.files[0] if file.row in rows}
        return partial(fit_to_files, sizes=sizes), "image", "declared and its boxes scaled to the size of its file"
    return None


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


def centers_to_xywh(document: CocoDocument, table: AnnotationTable) -> tuple[CocoDocument, int]:
    """Return the document with its boxes, read as center x, center y, width, height, written from their corner."""
    items = list(document.items("annotations"))
    rows = table.rows.tolist()
    for row in rows:
        x, y, width, height = items[row]["bbox"]
        items[row] = {**items[row], "bbox": [x - width / 2, y - height / 2, width, height]}
    return document.with_content({**document.content, "annotations": items}), len(rows)


def exchange_sizes(document: CocoDocument, table: AnnotationTable) -> tuple[CocoDocument, int]:
    """Return the document with width and height of every image exchanged, and the number of images."""
    items = list(document.items("images"))
    rows = table.image_rows[np.isfinite(table.sizes).all(axis=1)].tolist()
    for row in rows:
        items[row] = {**items[row], "width": items[row]["height"], "height": items[row]["width"]}
    return document.with_content({**document.content, "images": items}), len(rows)


def fit_to_files(document: CocoDocument, table: AnnotationTable, sizes: Mapping[int, Size]) -> tuple[CocoDocument, int]:
    """Return the document with images of the sizes of their files, boxes scaled with them, and the number of images.

    Args:
        sizes: (height, width) of the files, by the row of the image; other images stay as they are.
    """
    images = list(document.items("images"))
    factors = np.ones((len(table.image_rows), 2))  # across, down
    for index, row in enumerate(table.image_rows.tolist()):
        if row in sizes and np.isfinite(table.sizes[index]).all():
            height, width = sizes[row]
            factors[index] = width / table.sizes[index, 1], height / table.sizes[index, 0]
            images[row] = {**images[row], "width": width, "height": height}
    changed = (factors != 1).any(axis=1)
    in_changed = changed[table.images]
    resized = document.with_content({**document.content, "images": images})
    scaled, _ = _scaled(resized, table.rows[in_changed], factors[table.images[in_changed]])
    return scaled, int(changed.sum())


def divide_boxes(document: CocoDocument, table: AnnotationTable, factor: float) -> tuple[CocoDocument, int]:
    """Return the document with every box divided by `factor`, and the number of boxes."""
    return _scaled(document, table.rows, np.full((len(table.rows), 2), 1 / factor))


def multiply_shares(document: CocoDocument, table: AnnotationTable) -> tuple[CocoDocument, int]:
    """Return the document with every box multiplied by the size of its image, and the number of boxes.

    Raises:
        InputError: an image has no size.
    """
    if not np.isfinite(table.box_sizes).all():
        raise InputError(f"{document.path}: an image has no width and height, which --fix-shares needs; add them")
    return _scaled(document, table.rows, table.box_sizes[:, ::-1])


def _scaled(document: CocoDocument, rows: IntArray, factors: Float64Array) -> tuple[CocoDocument, int]:
    """Multiply the boxes in (M,) rows by (M, 2) factors in x and y, and their polygons; other masks are left out."""
    items = list(document.items("annotations"))
    for row, (across, down) in zip(rows.tolist(), factors.tolist(), strict=True):
        x, y, width, height = items[row]["bbox"]
        bbox = [x * across, y * down, width * across, height * down]
        kept = {key: value for key, value in items[row].items() if key != "segmentation"}
        polygons = _scaled_polygons(items[row].get("segmentation"), across, down)
        area = items[row].get("area")
        has_area = polygons and type(area) in (int, float)  # the area of its polygons
        kept |= {"segmentation": polygons} if polygons else {}
        items[row] = {**kept, "bbox": bbox, "area": area * across * down if has_area else bbox[2] * bbox[3]}
    return document.with_content({**document.content, "annotations": items}), len(rows)


def _scaled_polygons(masks: Any, across: float, down: float) -> list[list[float]] | None:
    """Return polygons, lists of x and y in turn, multiplied by the factors; None for any other masks."""
    if not isinstance(masks, list) or not all(
        isinstance(one, list) and all(type(value) in (int, float) for value in one) for one in masks
    ):
        return None
    return [[value * (down if place % 2 else across) for place, value in enumerate(one)] for one in masks]


def count_masks(document: CocoDocument) -> int:
    """Return the number of annotations with masks."""
    return sum(isinstance(item, dict) and bool(item.get("segmentation")) for item in document.items("annotations"))
