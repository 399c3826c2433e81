"""Check the structure of every item, and collect the valid ones in a table."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np

from anchorloc.data.coco_fields import (
    MAX_COORDINATE,
    Id,
    area_of,
    checked_box,
    checked_id,
    checked_name,
    is_crowd,
    whole_pixels,
)
from anchorloc.data.formats.listed_images import lacks_size
from anchorloc.data.image_paths import check_file_name
from anchorloc.doctor.annotation_table import NO_LABEL, AnnotationTable
from anchorloc.doctor.box_forms import holds_numbers
from anchorloc.doctor.document import NOUNS, CocoDocument
from anchorloc.doctor.findings import Findings, Reporter, without_advice
from anchorloc.doctor.rules import Rule
from anchorloc.errors import ItemError
from anchorloc.structures import Category, categories_of
from anchorloc.text import short_repr

SAME_ID = {
    "images": Rule.SAME_IMAGE_ID,
    "categories": Rule.SAME_CATEGORY_ID,
    "annotations": Rule.SAME_ANNOTATION_ID,
}
EMPTY = {"images": Rule.NO_IMAGES, "categories": Rule.NO_CATEGORIES}
CROWD, SEGMENTED = 1, 2  # flags of a box, packed into one column


def check_items(document: CocoDocument, findings: Findings) -> AnnotationTable:
    """Report every item that the COCO format does not allow, and return the valid ones."""
    for name in NOUNS:
        _check_list(document, name, findings)
    image_rows, image_ids, sizes, names = _images(Reporter(findings, document, "images"))
    categories = _categories(Reporter(findings, document, "categories"))
    indices = {image_id: index for index, image_id in enumerate(image_ids)}
    labels = {category.id: label for label, (_, category) in enumerate(categories)}
    numbers, columns = _annotations(Reporter(findings, document, "annotations"), indices, labels)
    values = np.array(numbers, np.float64).reshape(-1, 5)
    column = np.array(columns, np.int64).reshape(-1, 4)
    return AnnotationTable(
        image_rows=np.array(image_rows, np.int64),
        sizes=np.array(sizes, np.float64).reshape(-1, 2),
        names=names,
        categories=[category for _, category in categories],
        category_rows=[row for row, _ in categories],
        rows=column[:, 0].copy(),
        images=column[:, 1].copy(),
        labels=column[:, 2].copy(),
        boxes=values[:, :4].copy(),
        crowd=column[:, 3] & CROWD != 0,
        area=values[:, 4].copy(),
        has_segmentation=column[:, 3] & SEGMENTED != 0,
    )


def _check_list(document: CocoDocument, name: str, findings: Findings) -> None:
    reporter = Reporter(findings, document, "")
    if not isinstance(document.content.get(name), list):
        reporter.add(Rule.NO_LIST, -1, f"{name}: {short_repr(document.content.get(name))}")
    elif not document.items(name) and name in EMPTY:
        reporter.add(EMPTY[name], -1, f"{name}: []")
    reporter = Reporter(findings, document, name)
    for row, item in enumerate(document.items(name)):
        if type(item) is not dict:
            reporter.add(Rule.BAD_ITEM, row, short_repr(item))


def _objects(reporter: Reporter) -> list[tuple[int, dict[str, Any]]]:
    return [(row, item) for row, item in enumerate(reporter.document.items(reporter.list_name)) if type(item) is dict]


def _ids(reporter: Reporter, objects: Sequence[tuple[int, dict[str, Any]]]) -> dict[int, Id]:
    """Return the row and id of every item whose id is valid and new."""
    first: dict[Id, int] = {}
    for row, item in objects:
        value = reporter.check(Rule.BAD_ID, row, checked_id, item.get("id"))
        if value is None:
            continue
        if value in first:
            reporter.add(SAME_ID[reporter.list_name], row, f"id {short_repr(value)}, also at row {first[value]}")
        else:
            first[value] = row
    _check_mixed(reporter, first)
    return {row: value for value, row in first.items()}


def _check_mixed(reporter: Reporter, rows: dict[Id, int]) -> None:
    text = next((value for value in rows if type(value) is str), None)
    number = next((value for value in rows if type(value) is int), None)
    if text is not None and number is not None:
        reporter.add(Rule.MIXED_IDS, rows[text], f"{short_repr(number)} and {short_repr(text)}")


def _images(reporter: Reporter) -> tuple[list[int], list[Id], list[tuple[float, float]], list[str | None]]:
    objects = _objects(reporter)
    ids = _ids(reporter, objects)
    sizes: list[tuple[float, float]] = []
    names: list[str | None] = []
    for row, item in objects:
        height = width = None
        if reporter.document.folder is None or not lacks_size(item):  # else the size of its file is read
            height = reporter.check(Rule.BAD_SIZE, row, whole_pixels, item, "height")
            width = reporter.check(Rule.BAD_SIZE, row, whole_pixels, item, "width") if height is not None else None
        name = reporter.check(Rule.BAD_FILE_NAME, row, _file_name, item)
        if row in ids:
            sizes.append((np.inf, np.inf) if height is None or width is None else (height, width))
            names.append(name)
    return list(ids), list(ids.values()), sizes, names


def _file_name(item: dict[str, Any]) -> str:
    name = item.get("file_name")
    if type(name) is not str:
        raise ItemError(f"file_name {short_repr(name)} is not a string")
    check_file_name(name)
    return name


def _categories(reporter: Reporter) -> list[tuple[int, Category]]:
    objects = _objects(reporter)
    ids = _ids(reporter, objects)
    rows, pairs = [], []
    for row, item in objects:
        name = item.get("name")
        known = reporter.check(Rule.BAD_CATEGORY_NAME, row, checked_name, name)
        if row in ids:
            rows.append(row)
            pairs.append((ids[row], known or str(name if type(name) in (int, float) else ids[row])))
    return list(zip(rows, categories_of(pairs), strict=True))


def _annotations(reporter: Reporter, images: dict[Id, int], labels: dict[Id, int]) -> tuple[array[float], array[int]]:
    """Return the valid boxes: x1, y1, x2, y2, area of each, and row, image, label, flags of each."""
    objects = _objects(reporter)
    _annotation_ids(reporter, objects)
    numbers, columns = array("d"), array("q")
    for row, item in objects:
        box = _box(reporter, row, item.get("bbox"))
        image = _index(reporter, Rule.UNKNOWN_IMAGE, row, item.get("image_id"), images)
        label = _index(reporter, Rule.UNKNOWN_CATEGORY, row, item.get("category_id"), labels)
        area, crowd = _area(reporter, row, item.get("area")), _crowd(reporter, row, item)
        if box is not None and image != NO_LABEL:
            numbers.extend(box)
            numbers.append(area)
            flags = CROWD * crowd + SEGMENTED * bool(item.get("segmentation"))
            columns.extend((row, image, label, flags))
    return numbers, columns


def _annotation_ids(reporter: Reporter, objects: Sequence[tuple[int, dict[str, Any]]]) -> None:
    """Check ids; if one is missing, the reader renumbers all, and no other mistake in an id matters."""
    missing = [row for row, item in objects if item.get("id") is None]
    for row in missing:
        reporter.add(Rule.NO_ANNOTATION_ID, row, "id None")
    if missing:
        return
    _ids(reporter, objects)
    for row, item in objects:
        if type(item["id"]) is int and item["id"] == 0:
            reporter.add(Rule.ID_ZERO, row, "id 0")


def _box(reporter: Reporter, row: int, bbox: Any) -> tuple[float, float, float, float] | None:
    try:
        return checked_box(bbox)
    except ItemError as error:
        reporter.add(_box_rule(bbox), row, without_advice(error))
        return None


def _box_rule(bbox: Any) -> Rule:
    """Return the rule broken by a box that `checked_box` refused."""
    if type(bbox) is not list or len(bbox) != 4 or any(type(value) not in (int, float) for value in bbox):
        return Rule.ODD_BOX if holds_numbers(bbox) else Rule.BAD_BOX
    far = not all(-MAX_COORDINATE <= value <= MAX_COORDINATE for value in bbox)
    return Rule.FAR_BOX if far else Rule.NEGATIVE_BOX


def _index(reporter: Reporter, rule: Rule, row: int, value: Any, indices: dict[Id, int]) -> int:
    if type(value) in (int, str) and value in indices:
        return indices[value]
    key = "image_id" if rule is Rule.UNKNOWN_IMAGE else "category_id"
    reporter.add(rule, row, f"{key} {short_repr(value)}")
    return NO_LABEL


def _area(reporter: Reporter, row: int, value: Any) -> float:
    if value is None:
        reporter.add(Rule.NO_AREA, row, "area None")
        return np.nan
    area = reporter.check(Rule.BAD_AREA, row, area_of, value, (0.0, 0.0, 0.0, 0.0))
    return np.nan if area is None else area


def _crowd(reporter: Reporter, row: int, item: dict[str, Any]) -> bool:
    crowd = item.get("iscrowd")
    if crowd is None:
        reporter.add(Rule.NO_CROWD, row, "iscrowd None")
    rule = Rule.IGNORE_FLAG if crowd in (None, 0, 1) else Rule.BAD_CROWD
    return bool(reporter.check(rule, row, is_crowd, item))
