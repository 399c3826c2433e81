"""Fix the categories and boxes of a document by the rules that they break."""

from __future__ import annotations

import math
from collections.abc import Collection
from functools import partial

import numpy as np

from anchorloc.data.formats.coco_folder import polygon_box
from anchorloc.doctor.diagnosis import Diagnosis
from anchorloc.doctor.editable_document import EditableDocument, JsonObject, setter
from anchorloc.doctor.explanations import is_explained
from anchorloc.doctor.id_fixes import fix_ids, merge
from anchorloc.doctor.rules import Rule

REMOVED = (Rule.BAD_ITEM, Rule.BAD_BOX, Rule.FAR_BOX, Rule.NEGATIVE_BOX, Rule.EMPTY_BOX)


def fix_categories(editable: EditableDocument, drop_root: bool) -> None:
    """Name categories that have no name, and remove those that cannot be used, and on request the root category."""
    fix_ids(editable, "categories")
    for rule in (Rule.BAD_ITEM, *([Rule.ROOT_CATEGORY] if drop_root else [])):
        editable.remove_by_rule("categories", rule)
    _name(editable)
    merge(editable, "categories", Rule.SAME_CATEGORY_ID, "name")


def fix_boxes(editable: EditableDocument, diagnosis: Diagnosis, resized: Collection[int]) -> None:
    """Remove boxes that cannot be used, clip those that leave their image, and set area and iscrowd.

    Boxes outside stay as they are if one reading of the file explains them, or if this pass has changed the size of
    their image: the next pass judges them by it.
    """
    _box_texts(editable)
    _box_polygons(editable)
    for rule in REMOVED:
        editable.remove_by_rule("annotations", rule)
    table = diagnosis.tables[0]
    sizes = dict(zip(table.rows.tolist(), table.box_sizes.tolist(), strict=True))
    in_resized = set(table.rows[np.isin(table.image_rows[table.images], sorted(resized))].tolist())
    judged = set() if is_explained(editable.findings) else set(sizes) - in_resized
    outside = editable.findings.rows(Rule.OUTSIDE_BOX, "annotations") & judged
    editable.remove("annotations", outside, Rule.OUTSIDE_BOX.title)
    for row in sorted(editable.findings.rows(Rule.PARTLY_OUTSIDE, "annotations") & judged):
        editable.edit("annotations", [row], Rule.PARTLY_OUTSIDE.title, "clipped", partial(_clipped, sizes[row]))
    for rule in (Rule.BAD_AREA, Rule.NO_AREA):
        editable.edit_by_rule("annotations", rule, "area set to width x height", _box_area)
    differs = editable.findings.rows(Rule.AREA_DIFFERS, "annotations")
    unmasked = [row for row in differs if not editable.lists["annotations"][row].get("segmentation")]
    editable.edit("annotations", unmasked, Rule.AREA_DIFFERS.title, "area set to width x height", _box_area)
    texts = [
        row
        for row in sorted(editable.findings.rows(Rule.BAD_CROWD, "annotations") - editable.removed["annotations"])
        if str(editable.lists["annotations"][row].get("iscrowd")).strip().lower() in ("1", "true")
    ]
    editable.edit("annotations", texts, Rule.BAD_CROWD.title, "iscrowd set to 1", setter(iscrowd=1))
    for row in texts:
        editable.findings.forget(Rule.BAD_CROWD, "annotations", row)
    for rule, value in ((Rule.BAD_CROWD, 0), (Rule.NO_CROWD, 0), (Rule.IGNORE_FLAG, 1)):
        editable.edit_by_rule("annotations", rule, f"iscrowd set to {value}", setter(iscrowd=value))


def _name(editable: EditableDocument) -> None:
    """Name categories: a number as its text, else the id, unless another category has that name."""
    taken = {item["name"] for _, item in editable.items("categories") if type(item.get("name")) is str}
    rows = sorted(editable.findings.rows(Rule.BAD_CATEGORY_NAME, "categories") - editable.removed["categories"])
    items = [(row, editable.lists["categories"][row]) for row in rows]
    for row, item in sorted(items, key=lambda pair: type(pair[1].get("name")) not in (int, float)):  # numbers first
        is_number = type(item.get("name")) in (int, float)
        new = str(item["name"] if is_number else item["id"])
        while new in taken:
            new = f"{new} (id {item['id']})"
        taken.add(new)
        action = "number written as text" if is_number else "named after the id"
        editable.edit("categories", [row], Rule.BAD_CATEGORY_NAME.title, action, setter(name=new))


def _box_texts(editable: EditableDocument) -> None:
    """Read a bbox whose numbers are texts, or that is an object with x, y, width and height."""
    for row in sorted(editable.findings.rows(Rule.BAD_BOX, "annotations") - editable.removed["annotations"]):
        bbox = stated = editable.lists["annotations"][row].get("bbox")
        if isinstance(bbox, dict):
            bbox = [bbox.get(key) for key in ("x", "y", "width", "height")]
        if not isinstance(bbox, list) or len(bbox) != 4 or any(type(value) not in (str, int, float) for value in bbox):
            continue
        try:
            values = [float(value) for value in bbox]
        except (ValueError, OverflowError):
            continue
        if all(map(math.isfinite, values)):
            action = "object written as a list" if isinstance(stated, dict) else "texts written as numbers"
            editable.edit("annotations", [row], Rule.BAD_BOX.title, action, setter(bbox=values))
            editable.findings.forget(Rule.BAD_BOX, "annotations", row)


def _box_polygons(editable: EditableDocument) -> None:
    """Give annotations without a bbox the box around their polygon."""
    for row in sorted(editable.findings.rows(Rule.BAD_BOX, "annotations") - editable.removed["annotations"]):
        item = editable.lists["annotations"][row]
        box = polygon_box(item.get("segmentation")) if item.get("bbox") in (None, []) else None
        if box is not None:
            left, top, right, bottom = box
            change = setter(bbox=[left, top, right - left, bottom - top])
            editable.edit("annotations", [row], Rule.BAD_BOX.title, "set to the box around the polygon", change)
            editable.findings.forget(Rule.BAD_BOX, "annotations", row)


def _clipped(size: tuple[float, float], item: JsonObject) -> JsonObject:
    x, y, width, height = item["bbox"]
    left, top = max(x, 0), max(y, 0)
    right, bottom = min(x + width, int(size[1])), min(y + height, int(size[0]))
    bbox = {"bbox": [left, top, right - left, bottom - top]}
    return bbox if item.get("segmentation") else {**bbox, "area": (right - left) * (bottom - top)}


def _box_area(item: JsonObject) -> JsonObject:
    return {"area": item["bbox"][2] * item["bbox"][3]}
