"""Fix the categories and boxes of a document by the rules that they break."""

from __future__ import annotations

import math
from collections.abc import Collection
from functools import partial
from typing import Any, Final

import numpy as np

from anchorloc.data.formats.coco_folder import polygon_box
from anchorloc.doctor.box_forms import four_numbers
from anchorloc.doctor.diagnosis import Diagnosis
from anchorloc.doctor.document import NOUNS, CocoDocument, not_finite
from anchorloc.doctor.editable_document import EditableDocument, FixCounts, JsonObject, setter
from anchorloc.doctor.explanations import is_explained
from anchorloc.doctor.id_fixes import fix_ids, merge
from anchorloc.doctor.rules import Rule

NULLED: Final = "NaN or Infinity written as null"
REMOVED: Final = (Rule.BAD_ITEM, Rule.BAD_BOX, Rule.FAR_BOX, Rule.NEGATIVE_BOX, Rule.EMPTY_BOX)


def fix_categories(editable: EditableDocument, drop_root: bool) -> None:
    """Name categories that have no name, and remove those that cannot be used, and on request the root category."""
    fix_ids(editable, "categories")
    for rule in (Rule.BAD_ITEM, *([Rule.ROOT_CATEGORY] if drop_root else [])):
        editable.remove_by_rule("categories", rule)
    _name(editable)
    merge(editable, "categories", Rule.SAME_CATEGORY_ID, "name")


def fix_boxes(
    editable: EditableDocument, diagnosis: Diagnosis, resized: Collection[int], drop_boxes: bool = False
) -> None:
    """Remove boxes that cannot be used, clip those that leave their image, and set area and iscrowd.

    A bbox whose numbers are not x, y, width and height may mean a sound box: it is removed with `drop_boxes` alone.

    Boxes outside stay as they are if one reading of the file explains them, or if this pass has changed the size of
    their image: the next pass judges them by it.
    """
    fix_box_forms(editable)
    _box_polygons(editable)
    _turn_around(editable)
    for rule in (*REMOVED, *([Rule.ODD_BOX] if drop_boxes else [])):
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
    misread = is_explained(editable.findings)  # then the area may be right and the box wrong
    differs = set() if misread else editable.findings.rows(Rule.AREA_DIFFERS, "annotations")
    unmasked = [row for row in differs if not editable.lists["annotations"][row].get("segmentation")]
    editable.edit("annotations", unmasked, Rule.AREA_DIFFERS.title, "area set to width x height", _box_area)
    texts = [
        row
        for row in sorted(editable.findings.rows(Rule.BAD_CROWD, "annotations") - editable.removed["annotations"])
        if str(editable.lists["annotations"][row].get("iscrowd")).strip().lower() in ("1", "true")
    ]
    editable.edit("annotations", texts, Rule.BAD_CROWD.title, "iscrowd set to 1", setter(iscrowd=1))
    editable.findings.forget(Rule.BAD_CROWD, "annotations", set(texts))
    for rule, value in ((Rule.BAD_CROWD, 0), (Rule.NO_CROWD, 0), (Rule.IGNORE_FLAG, 1)):
        editable.edit_by_rule("annotations", rule, f"iscrowd set to {value}", setter(iscrowd=value))


def without_nan(document: CocoDocument, counts: FixCounts) -> CocoDocument:
    """Return the document with null for NaN and Infinity in keys that are not read; a mask is not changed."""
    content = {key: _with_null(value) for key, value in document.content.items()}
    for key, old in document.content.items():
        new = content[key]
        if isinstance(old, list):
            rows = [row for row in range(len(old)) if new[row] != old[row]]
            example = not_finite(old[rows[0]], f"{key}[{rows[0]}]") if rows else ""
            counts.count(NOUNS.get(key, f"item of {key}"), NULLED, len(rows), example)
        elif new != old:
            counts.count("value of the file", NULLED, 1, not_finite(old, key))
    return document.with_content(content)


def _with_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: one if key == "segmentation" else _with_null(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_with_null(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _name(editable: EditableDocument) -> None:
    """Name categories: a number as its text, else the id, unless another category has that name."""
    taken = {item["name"] for _, item in editable.items("categories") if type(item.get("name")) is str}
    rows = sorted(editable.findings.rows(Rule.BAD_CATEGORY_NAME, "categories") - editable.removed["categories"])
    items = [(row, editable.lists["categories"][row]) for row in rows]
    for row, item in sorted(items, key=lambda pair: not _is_number(pair[1].get("name"))):  # numbers first
        is_number = _is_number(item.get("name"))
        new = str(item["name"] if is_number else item["id"])
        while new in taken:
            new = f"{new} (id {item['id']})"
        taken.add(new)
        action = "number written as text" if is_number else "named after the id"
        editable.edit("categories", [row], Rule.BAD_CATEGORY_NAME.title, action, setter(name=new))


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < math.inf


def fix_box_forms(editable: EditableDocument, objects: bool = True) -> None:
    """Write boxes in other forms as four numbers; with `objects`, also the ones whose keys say what a number is."""
    for rule in (Rule.BAD_BOX, Rule.ODD_BOX):
        fixed = set()
        for row in sorted(editable.findings.rows(rule, "annotations") - editable.removed["annotations"]):
            bbox = editable.lists["annotations"][row].get("bbox")
            read = four_numbers(bbox)
            if read is not None and (objects or type(bbox) is not dict):
                editable.edit("annotations", [row], rule.title, read[1], setter(bbox=read[0]))
                fixed.add(row)
        editable.findings.forget(rule, "annotations", fixed)


def _turn_around(editable: EditableDocument) -> None:
    """Take boxes of negative width or height, drawn from another corner, from the left top one if that is inside."""
    fixed = set()
    for row in sorted(editable.findings.rows(Rule.NEGATIVE_BOX, "annotations") - editable.removed["annotations"]):
        x, y, width, height = editable.lists["annotations"][row]["bbox"]
        left, top = min(x, x + width), min(y, y + height)
        if left >= 0 and top >= 0:
            change = setter(bbox=[left, top, abs(width), abs(height)])
            editable.edit("annotations", [row], Rule.NEGATIVE_BOX.title, "taken from the other corner", change)
            fixed.add(row)
    editable.findings.forget(Rule.NEGATIVE_BOX, "annotations", fixed)


def _box_polygons(editable: EditableDocument) -> None:
    """Give annotations without a bbox the box around their polygon."""
    fixed = set()
    for row in sorted(editable.findings.rows(Rule.BAD_BOX, "annotations") - editable.removed["annotations"]):
        item = editable.lists["annotations"][row]
        box = polygon_box(item.get("segmentation")) if item.get("bbox") in (None, []) else None
        if box is not None:
            left, top, right, bottom = box
            change = setter(bbox=[left, top, right - left, bottom - top])
            editable.edit("annotations", [row], Rule.BAD_BOX.title, "set to the box around the polygon", change)
            fixed.add(row)
    editable.findings.forget(Rule.BAD_BOX, "annotations", fixed)


def _clipped(size: tuple[float, float], item: JsonObject) -> JsonObject:
    x, y, width, height = item["bbox"]
    left, top = max(x, 0), max(y, 0)
    right, bottom = min(x + width, int(size[1])), min(y + height, int(size[0]))
    bbox = {"bbox": [left, top, right - left, bottom - top]}
    return bbox if item.get("segmentation") else {**bbox, "area": (right - left) * (bottom - top)}


def _box_area(item: JsonObject) -> JsonObject:
    return {"area": item["bbox"][2] * item["bbox"][3]}
