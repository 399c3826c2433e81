"""Structure: is each item what the format asks for? What is sound becomes a table."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np

from anchorloc.data.coco_fields import MAX_COORDINATE, Id, area_of, checked_box, checked_id, is_crowd, whole_pixels
from anchorloc.data.image_paths import check_file_name
from anchorloc.data.item_error import Flaw
from anchorloc.doctor import rules as kinds
from anchorloc.doctor.annotation_table import NO_LABEL, Table
from anchorloc.doctor.document import NOUNS, Document
from anchorloc.doctor.findings import Findings, Notebook, clause
from anchorloc.doctor.rules import Kind
from anchorloc.structures import Category
from anchorloc.text import short_repr

SAME_ID = {
    "images": kinds.SAME_IMAGE_ID,
    "categories": kinds.SAME_CATEGORY_ID,
    "annotations": kinds.SAME_ANNOTATION_ID,
}
EMPTY = {"images": kinds.NO_IMAGES, "categories": kinds.NO_CATEGORIES}
NO_BOX = (0.0, 0.0, 0.0, 0.0)
CROWD, MASKED = 1, 2  # bits of one column


def check_items(document: Document, findings: Findings) -> Table:
    """Note every item that is not what the format asks for, and collect the sound ones."""
    for name in NOUNS:
        _check_list(document, name, findings)
    image_rows, image_ids, sizes, names = _images(Notebook(findings, document, "images"))
    categories = _categories(Notebook(findings, document, "categories"))
    places = {image_id: place for place, image_id in enumerate(image_ids)}
    labels = {category.id: label for label, (_, category) in enumerate(categories)}
    numbers, columns = _annotations(Notebook(findings, document, "annotations"), places, labels)
    values = np.array(numbers, np.float64).reshape(-1, 5)
    column = np.array(columns, np.int64).reshape(-1, 4)
    return Table(
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
        masked=column[:, 3] & MASKED != 0,
    )


def _check_list(document: Document, name: str, findings: Findings) -> None:
    notebook = Notebook(findings, document, "")
    if not isinstance(document.content.get(name), list):
        notebook.add(kinds.NO_LIST, -1, f"{name}: {short_repr(document.content.get(name))}")
    elif not document.items(name) and name in EMPTY:
        notebook.add(EMPTY[name], -1, f"{name}: []")
    notebook = Notebook(findings, document, name)
    for row, item in enumerate(document.items(name)):
        if type(item) is not dict:
            notebook.add(kinds.BAD_ITEM, row, short_repr(item))


def _objects(notebook: Notebook) -> list[tuple[int, dict[str, Any]]]:
    return [(row, item) for row, item in enumerate(notebook.document.items(notebook.items)) if type(item) is dict]


def _ids(notebook: Notebook, objects: Sequence[tuple[int, dict[str, Any]]]) -> dict[int, Id]:
    """Return the row and id of every item whose id is sound and not given before."""
    first: dict[Id, int] = {}
    for row, item in objects:
        value = notebook.read(kinds.BAD_ID, row, checked_id, item.get("id"))
        if value is None:
            continue
        if value in first:
            notebook.add(SAME_ID[notebook.items], row, f"id {short_repr(value)}, also at {first[value]}")
        else:
            first[value] = row
    _check_mixed(notebook, first)
    return {row: value for value, row in first.items()}


def _check_mixed(notebook: Notebook, rows: dict[Id, int]) -> None:
    text = next((value for value in rows if type(value) is str), None)
    number = next((value for value in rows if type(value) is int), None)
    if text is not None and number is not None:
        notebook.add(kinds.MIXED_IDS, rows[text], f"{short_repr(number)} and {short_repr(text)}")


def _images(
    notebook: Notebook,
) -> tuple[list[int], list[Id], list[tuple[float, float]], list[str | None]]:
    objects = _objects(notebook)
    ids = _ids(notebook, objects)
    sizes: list[tuple[float, float]] = []
    names: list[str | None] = []
    for row, item in objects:
        height = notebook.read(kinds.BAD_SIZE, row, whole_pixels, item, "height")
        width = notebook.read(kinds.BAD_SIZE, row, whole_pixels, item, "width") if height is not None else None
        name = notebook.read(kinds.BAD_FILE_NAME, row, _file_name, item)
        if row in ids:
            sizes.append((np.inf, np.inf) if height is None or width is None else (height, width))
            names.append(name)
    return list(ids), list(ids.values()), sizes, names


def _file_name(item: dict[str, Any]) -> str:
    name = item.get("file_name")
    if type(name) is not str:
        raise Flaw(f"file_name {short_repr(name)} is not a string")
    check_file_name(name)
    return name


def _categories(notebook: Notebook) -> list[tuple[int, Category]]:
    objects = _objects(notebook)
    ids = _ids(notebook, objects)
    categories = []
    for row, item in objects:
        name = item.get("name")
        if type(name) is not str:
            notebook.add(kinds.BAD_CATEGORY_NAME, row, f"name {short_repr(name)}")
        if row in ids:
            categories.append((row, Category(ids[row], name if type(name) is str else str(ids[row]))))
    return categories


def _annotations(notebook: Notebook, places: dict[Id, int], labels: dict[Id, int]) -> tuple[array[float], array[int]]:
    """Return box and area, and row, image, label and bits, of the boxes that can be measured."""
    objects = _objects(notebook)
    _annotation_ids(notebook, objects)
    numbers, columns = array("d"), array("q")
    for row, item in objects:
        box = _box(notebook, row, item.get("bbox"))
        image = _place(notebook, kinds.UNKNOWN_IMAGE, row, item.get("image_id"), places)
        label = _place(notebook, kinds.UNKNOWN_CATEGORY, row, item.get("category_id"), labels)
        area, crowd = _area(notebook, row, item.get("area")), _crowd(notebook, row, item)
        if box is not None and image != NO_LABEL:
            numbers.extend(box)
            numbers.append(area)
            bits = CROWD * crowd + MASKED * bool(item.get("segmentation"))
            columns.extend((row, image, label, bits))
    return numbers, columns


def _annotation_ids(notebook: Notebook, objects: Sequence[tuple[int, dict[str, Any]]]) -> None:
    """Where an id is missing all are renumbered, so that nothing else matters then."""
    missing = [row for row, item in objects if item.get("id") is None]
    for row in missing:
        notebook.add(kinds.NO_ANNOTATION_ID, row, "id None")
    if missing:
        return
    _ids(notebook, objects)
    for row, item in objects:
        if type(item["id"]) is int and item["id"] == 0:
            notebook.add(kinds.ID_ZERO, row, "id 0")


def _box(notebook: Notebook, row: int, bbox: Any) -> tuple[float, float, float, float] | None:
    try:
        return checked_box(bbox)
    except Flaw as flaw:
        notebook.add(_box_kind(bbox), row, clause(flaw))
        return None


def _box_kind(bbox: Any) -> Kind:
    """Tell which of its conditions `checked_box` has refused."""
    if type(bbox) is not list or len(bbox) != 4 or any(type(value) not in (int, float) for value in bbox):
        return kinds.BAD_BOX
    far = not all(-MAX_COORDINATE <= value <= MAX_COORDINATE for value in bbox)
    return kinds.FAR_BOX if far else kinds.NEGATIVE_BOX


def _place(notebook: Notebook, kind: Kind, row: int, value: Any, places: dict[Id, int]) -> int:
    if type(value) in (int, str) and value in places:
        return places[value]
    key = "image_id" if kind is kinds.UNKNOWN_IMAGE else "category_id"
    notebook.add(kind, row, f"{key} {short_repr(value)}")
    return NO_LABEL


def _area(notebook: Notebook, row: int, value: Any) -> float:
    if value is None:
        notebook.add(kinds.NO_AREA, row, "area None")
        return np.nan
    area = notebook.read(kinds.BAD_AREA, row, area_of, value, NO_BOX)
    return np.nan if area is None else area


def _crowd(notebook: Notebook, row: int, item: dict[str, Any]) -> bool:
    crowd = item.get("iscrowd")
    if crowd is None:
        notebook.add(kinds.NO_CROWD, row, "iscrowd None")
    kind = kinds.IGNORE_FLAG if crowd in (None, 0, 1) else kinds.BAD_CROWD
    return bool(notebook.read(kind, row, is_crowd, item))
