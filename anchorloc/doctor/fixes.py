"""How single lists are mended, once it is known what is wrong with them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from functools import partial
from math import isfinite
from typing import Any

import numpy as np

from anchorloc.data.coco_fields import Id
from anchorloc.doctor import rules as kinds
from anchorloc.doctor.box_checks import ROUNDING, overshoot
from anchorloc.doctor.diagnosis import Diagnosis
from anchorloc.doctor.editable import Draft, Item
from anchorloc.doctor.rules import Kind

REFERENCES = {"images": ("image_id", kinds.UNKNOWN_IMAGE), "categories": ("category_id", kinds.UNKNOWN_CATEGORY)}
REMOVED = {
    "images": (kinds.BAD_ITEM, kinds.BAD_FILE_NAME, kinds.NO_FILE, kinds.UNREADABLE),
    "categories": (kinds.BAD_ITEM,),
    "annotations": (kinds.BAD_ITEM, kinds.BAD_BOX, kinds.FAR_BOX, kinds.NEGATIVE_BOX, kinds.EMPTY_BOX,
                    kinds.OUTSIDE_BOX),
}  # fmt: skip
NUMBERING = (kinds.MIXED_IDS, kinds.SAME_ANNOTATION_ID, kinds.ID_ZERO, kinds.NO_ANNOTATION_ID)


def mend_images(draft: Draft, diagnosis: Diagnosis) -> None:
    """Take sizes from the files where that is safe; remove what is not usable."""
    sizes = {file.row: file.size for file in diagnosis.files[0]}
    for kind, rows in ((kinds.BAD_SIZE, set(sizes)), (kinds.SIZE_DIFFERS, _rows_that_fit(diagnosis, sizes))):
        found = draft.findings.rows(kind, "images")
        for row in sorted(found & rows):
            height, width = sizes[row]
            draft.edit("images", [row], kind.title, "size taken from the file", _setter(height=height, width=width))
        draft.remove("images", found - rows, kind.title)
    _mend_ids(draft, "images")
    for kind in REMOVED["images"]:
        draft.remove_kind("images", kind)
    _merge(draft, "images", kinds.SAME_IMAGE_ID, "file_name")


def mend_categories(draft: Draft) -> None:
    """Name the nameless; remove what is not usable."""
    _mend_ids(draft, "categories")
    for kind in REMOVED["categories"]:
        draft.remove_kind("categories", kind)
    draft.edit_kind("categories", kinds.BAD_CATEGORY_NAME, "named by id", lambda item: {"name": str(item["id"])})
    _merge(draft, "categories", kinds.SAME_CATEGORY_ID, "name")


def mend_references(draft: Draft) -> None:
    """Give mixed ids one kind, follow them in the annotations, and remove annotations that point nowhere."""
    for name, (key, kind) in REFERENCES.items():
        lost = draft.lost_ids(name)
        gone = [row for row, item in draft.items("annotations") if _as_id(item.get(key)) in lost]
        draft.remove("annotations", gone, f"annotation of one of the removed {name}")
        _retarget(draft, name, key, kind)
        if draft.findings.rows(kinds.MIXED_IDS, name):
            _renumber(draft, name, key)


def mend_boxes(draft: Draft, diagnosis: Diagnosis) -> None:
    """Remove boxes that cannot be used, clip those that leave their image, and fill in the other keys."""
    for kind in REMOVED["annotations"]:
        draft.remove_kind("annotations", kind)
    table = diagnosis.tables[0]
    sizes = dict(zip(table.rows.tolist(), table.box_sizes.tolist(), strict=True))
    for row in sorted(draft.findings.rows(kinds.PARTLY_OUTSIDE, "annotations")):
        if not isfinite(max(sizes[row])):
            continue  # its image has just got its size from the file: the next pass goes by that
        draft.edit("annotations", [row], kinds.PARTLY_OUTSIDE.title, "clipped", partial(_clipped, sizes[row]))
    for kind in (kinds.BAD_AREA, kinds.NO_AREA):
        draft.edit_kind("annotations", kind, "area is width x height now", _box_area)
    differs = draft.findings.rows(kinds.AREA_DIFFERS, "annotations")
    plain = [row for row in differs if not draft.lists["annotations"][row].get("segmentation")]
    draft.edit("annotations", plain, kinds.AREA_DIFFERS.title, "area is width x height now", _box_area)
    for kind, value in ((kinds.BAD_CROWD, 0), (kinds.NO_CROWD, 0), (kinds.IGNORE_FLAG, 1)):
        draft.edit_kind("annotations", kind, f"iscrowd is {value} now", _setter(iscrowd=value))


def number_annotations(draft: Draft) -> None:
    """Number all annotations from 1, if anything is wrong with their ids."""
    if any(draft.findings.rows(kind, "annotations") for kind in (*NUMBERING, kinds.BAD_ID)):
        for number, (row, item) in enumerate(draft.items("annotations"), start=1):
            draft.lists["annotations"][row] = {**item, "id": number}
        draft.changes["annotation", "numbered anew, from 1"] = len(draft.items("annotations"))


def _rows_that_fit(diagnosis: Diagnosis, sizes: dict[int, tuple[int, int]]) -> set[int]:
    """Return the rows of the images whose boxes leave the file's size no more often than the declared one."""
    table = diagnosis.tables[0]
    rows = table.image_rows.tolist()
    of_files = np.array([sizes.get(row, declared) for row, declared in zip(rows, table.sizes.tolist(), strict=True)])
    leaving = [
        np.bincount(table.images, (overshoot(table.boxes, known[table.images]) > ROUNDING).any(axis=1), len(rows))
        for known in (of_files.reshape(-1, 2), table.sizes)
    ]
    return {row for row, fits in zip(rows, leaving[0] <= leaving[1], strict=True) if fits and row in sizes}


def _mend_ids(draft: Draft, name: str) -> None:
    """Write ids such as 2.0 as 2, and remove items that have none."""
    bad = draft.findings.rows(kinds.BAD_ID, name)
    whole = {row for row in bad if _is_whole(draft.lists[name][row].get("id"))}
    draft.edit(name, whole, kinds.BAD_ID.title, "written as a whole number", lambda item: {"id": int(item["id"])})
    draft.remove(name, bad - whole, kinds.BAD_ID.title)


def _is_whole(value: Any) -> bool:
    return type(value) is float and value.is_integer() and abs(value) < 2**53


def _as_id(value: Any) -> Id | None:
    return value if type(value) in (int, str) else None


def _merge(draft: Draft, name: str, kind: Kind, key: str) -> None:
    """Of items with one id keep the first if they agree in `key`, else none: nobody knows which one is meant."""
    if not draft.findings.rows(kind, name):
        return
    groups: dict[Id, list[int]] = defaultdict(list)
    for row, item in draft.items(name):
        if (item_id := _as_id(item.get("id"))) is not None:
            groups[item_id].append(row)
    for rows in groups.values():
        if len({str(draft.lists[name][row].get(key)) for row in rows}) == 1:
            draft.remove(name, rows[1:], kind.title, f"merged, as their {key} is the same")
        else:
            draft.remove(name, rows, kind.title, f"removed, all of the id, as their {key} differs")


def _retarget(draft: Draft, name: str, key: str, kind: Kind) -> None:
    """Let references that mean an id but write it in another type, "2" or 2.0 for 2, mean it; remove the others."""
    found = draft.findings.rows(kind, "annotations") - draft.removed["annotations"]
    if not found:
        return
    targets: dict[str, set[Id]] = defaultdict(set)
    for _, item in draft.items(name):
        targets[str(item["id"])].add(item["id"])
    for row in sorted(found):
        value = draft.lists["annotations"][row].get(key)
        text = str(int(value)) if _is_whole(value) else str(value)
        meant = targets.get(text, set()) if type(value) in (int, float, str) else set()
        if len(meant) == 1:
            draft.edit("annotations", [row], kind.title, f"{key} written as the id is", _setter(**{key: min(meant)}))
        else:
            draft.remove("annotations", [row], kind.title)


def _renumber(draft: Draft, name: str, key: str) -> None:
    numbers: dict[Any, int] = {}
    for number, (row, item) in enumerate(draft.items(name), start=1):
        numbers[item["id"]] = number
        draft.lists[name][row] = {**item, "id": number}
    draft.changes[kinds.MIXED_IDS.title, f"{name} numbered anew, from 1"] += 1
    for row, item in draft.items("annotations"):
        draft.lists["annotations"][row] = {**item, key: numbers[item[key]]}


def _setter(**values: Any) -> Callable[[Item], Item]:
    return lambda item: values


def _clipped(size: tuple[float, float], item: Item) -> Item:
    x, y, width, height = item["bbox"]
    left, top = max(x, 0), max(y, 0)
    right, bottom = min(x + width, int(size[1])), min(y + height, int(size[0]))
    bbox = {"bbox": [left, top, right - left, bottom - top]}
    return bbox if item.get("segmentation") else {**bbox, "area": (right - left) * (bottom - top)}


def _box_area(item: Item) -> Item:
    return {"area": item["bbox"][2] * item["bbox"][3]}
