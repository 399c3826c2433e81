"""Fix the lists of a document by the rules that they break, and count every change."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from anchorloc.data.coco_fields import Id
from anchorloc.data.formats.coco_folder import name_of_url
from anchorloc.data.formats.image_finder import near_names
from anchorloc.doctor.box_checks import ROUNDING, overshoot
from anchorloc.doctor.diagnosis import Diagnosis
from anchorloc.doctor.document import NOUNS, CocoDocument
from anchorloc.doctor.explanations import is_explained
from anchorloc.doctor.findings import Findings
from anchorloc.doctor.rules import Rule
from anchorloc.structures import Size

REFERENCES = {"images": ("image_id", Rule.UNKNOWN_IMAGE), "categories": ("category_id", Rule.UNKNOWN_CATEGORY)}
REMOVED = {
    "images": (Rule.BAD_ITEM, Rule.BAD_FILE_NAME, Rule.UNREADABLE),
    "categories": (Rule.BAD_ITEM,),
    "annotations": (Rule.BAD_ITEM, Rule.BAD_BOX, Rule.FAR_BOX, Rule.NEGATIVE_BOX, Rule.EMPTY_BOX),
}
DROPPED = (Rule.NO_FILE, Rule.NEEDS_SETTING, Rule.FOREIGN_FORMAT)  # only on request: their labels may be sound
RENUMBERED = (Rule.BAD_ID, Rule.MIXED_IDS, Rule.SAME_ANNOTATION_ID, Rule.ID_ZERO, Rule.NO_ANNOTATION_ID)

JsonObject = dict[str, Any]
FixCounts = Counter[tuple[str, str]]  # (a noun phrase in the singular, what was done to it)


@dataclass(eq=False)
class EditableDocument:
    """Copies of the lists of a document that can be changed. Rows keep their index until `finish`."""

    document: CocoDocument
    findings: Findings
    counts: FixCounts
    lists: dict[str, list[Any]] = field(init=False)
    removed: dict[str, set[int]] = field(init=False)

    def __post_init__(self) -> None:
        self.lists = {name: list(self.document.items(name)) for name in NOUNS}
        self.removed = {name: set() for name in NOUNS}

    def items(self, name: str) -> list[tuple[int, JsonObject]]:
        """Return the JSON objects of a list that are not removed, with their rows."""
        gone = self.removed[name]
        return [(row, item) for row, item in enumerate(self.lists[name]) if row not in gone and type(item) is dict]

    def remove(self, name: str, rows: Collection[int], what: str, action: str = "removed") -> None:
        """Remove the rows that are not removed yet."""
        new = set(rows) - self.removed[name]
        self.removed[name] |= new
        self._count(what, action, len(new))

    def remove_by_rule(self, name: str, rule: Rule) -> None:
        """Remove the rows that break a rule."""
        self.remove(name, self.findings.rows(rule, name), rule.title)

    def edit(
        self, name: str, rows: Collection[int], what: str, action: str, change: Callable[[JsonObject], JsonObject]
    ) -> None:
        """Merge the keys that `change` returns into each row that is not removed."""
        rows = sorted(set(rows) - self.removed[name])
        for row in rows:
            item = self.lists[name][row]
            self.lists[name][row] = {**item, **change(item)}  # a new object, since `document` keeps the old one
        self._count(what, action, len(rows))

    def edit_by_rule(self, name: str, rule: Rule, action: str, change: Callable[[JsonObject], JsonObject]) -> None:
        """Edit the rows that break a rule."""
        self.edit(name, self.findings.rows(rule, name), rule.title, action, change)

    def lost_ids(self, name: str) -> set[Id]:
        """Return the ids of removed items that no remaining item has."""
        kept = {item["id"] for _, item in self.items(name) if type(item.get("id")) in (int, str)}
        gone = (self.lists[name][row] for row in self.removed[name])
        return {item["id"] for item in gone if type(item) is dict and type(item.get("id")) in (int, str)} - kept

    def finish(self) -> CocoDocument:
        """Return the changed document."""
        lists = {name: [item for _, item in self.items(name)] for name in NOUNS}
        return self.document.with_content({**self.document.content, **lists})

    def _count(self, what: str, action: str, number: int) -> None:
        if number:
            self.counts[what, action] += number


def fix_images(editable: EditableDocument, diagnosis: Diagnosis, drop_missing: bool) -> set[int]:
    """Take names and sizes from the image files, and remove images that cannot be used.

    Returns:
        The rows of the images whose size has changed.
    """
    sizes = {file.row: file.size for file in diagnosis.files[0]}
    resized: set[int] = set()
    for rule, fixable in ((Rule.BAD_SIZE, set(sizes)), (Rule.SIZE_DIFFERS, _rows_that_fit(diagnosis, sizes))):
        found = editable.findings.rows(rule, "images")
        for row in sorted(found & fixable):
            height, width = sizes[row]
            editable.edit("images", [row], rule.title, "size taken from the file", _setter(height=height, width=width))
            resized.add(row)
        editable.remove("images", found - fixable, rule.title)
    _fix_ids(editable, "images")
    _name_from_urls(editable)
    _rename(editable)
    for rule in (*REMOVED["images"], *(DROPPED if drop_missing else ())):
        editable.remove_by_rule("images", rule)
    _merge(editable, "images", Rule.SAME_IMAGE_ID, "file_name")
    return resized


def _name_from_urls(editable: EditableDocument) -> None:
    """Give images without a file_name the one at the end of their coco_url, as LVIS means it."""
    rows = editable.findings.rows(Rule.BAD_FILE_NAME, "images")
    for row in sorted(rows - editable.removed["images"]):
        item = editable.lists["images"][row]
        name = name_of_url(item.get("coco_url")) if item.get("file_name") is None else ""
        if name:
            editable.edit("images", [row], Rule.BAD_FILE_NAME.title, "taken from coco_url", _setter(file_name=name))
            cases = editable.findings.cases[Rule.BAD_FILE_NAME]
            cases[:] = [case for case in cases if case.row != row]


def _rename(editable: EditableDocument) -> None:
    """Give images without a file the name of the one that is meant, if there is one for each of them."""
    rows = sorted(editable.findings.rows(Rule.NO_FILE, "images") - editable.removed["images"])
    if not rows or editable.document.folder is None:
        return
    names = near_names([str(editable.lists["images"][row].get("file_name")) for row in rows], editable.document.folder)
    for row, name in zip(rows, names, strict=False):
        editable.edit("images", [row], Rule.NO_FILE.title, "renamed", _setter(file_name=name))
    if names:  # they are there
        editable.findings.cases.pop(Rule.NO_FILE)


def fix_categories(editable: EditableDocument, drop_root: bool) -> None:
    """Name categories that have no name, and remove those that cannot be used, and on request the root category."""
    _fix_ids(editable, "categories")
    for rule in (*REMOVED["categories"], *([Rule.ROOT_CATEGORY] if drop_root else [])):
        editable.remove_by_rule("categories", rule)
    _name(editable)
    _merge(editable, "categories", Rule.SAME_CATEGORY_ID, "name")


def fix_references(editable: EditableDocument) -> None:
    """Give ids of mixed types one type, follow them in the annotations, and remove annotations without a target."""
    for name, (key, rule) in REFERENCES.items():
        lost = editable.lost_ids(name)
        orphans = [row for row, item in editable.items("annotations") if _as_id(item.get(key)) in lost]
        editable.remove("annotations", orphans, f"annotation of a removed {NOUNS[name]}")
        _retarget(editable, name, key, rule)
        if editable.findings.rows(Rule.MIXED_IDS, name):
            _renumber(editable, name, key)


def fix_boxes(editable: EditableDocument, diagnosis: Diagnosis, resized: Collection[int]) -> None:
    """Remove boxes that cannot be used, clip those that leave their image, and set area and iscrowd.

    Boxes outside stay as they are if one reading of the file explains them, or if this pass has changed the size of
    their image: the next pass judges them by it.
    """
    for rule in REMOVED["annotations"]:
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
    for rule, value in ((Rule.BAD_CROWD, 0), (Rule.NO_CROWD, 0), (Rule.IGNORE_FLAG, 1)):
        editable.edit_by_rule("annotations", rule, f"iscrowd set to {value}", _setter(iscrowd=value))


def renumber_annotations(editable: EditableDocument) -> None:
    """Number all annotations from 1 if any of their ids breaks a rule."""
    if any(editable.findings.rows(rule, "annotations") for rule in RENUMBERED):
        for number, (row, item) in enumerate(editable.items("annotations"), start=1):
            editable.lists["annotations"][row] = {**item, "id": number}
        editable.counts["annotation", "renumbered from 1"] = len(editable.items("annotations"))


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
        editable.edit("categories", [row], Rule.BAD_CATEGORY_NAME.title, action, _setter(name=new))


def _rows_that_fit(diagnosis: Diagnosis, sizes: dict[int, Size]) -> set[int]:
    """Return the rows of images whose boxes leave the size of the file no more often than the declared size."""
    table = diagnosis.tables[0]
    rows = table.image_rows.tolist()
    of_files = np.array([sizes.get(row, declared) for row, declared in zip(rows, table.sizes.tolist(), strict=True)])
    outside = [
        np.bincount(table.images, (overshoot(table.boxes, known[table.images]) > ROUNDING).any(axis=1), len(rows))
        for known in (of_files.reshape(-1, 2), table.sizes)
    ]  # 2 x (N,) boxes outside each image, by the file's size and by the declared size
    return {row for row, fits in zip(rows, outside[0] <= outside[1], strict=True) if fits and row in sizes}


def _fix_ids(editable: EditableDocument, name: str) -> None:
    """Write ids such as 2.0 as 2, and remove items without a valid id."""
    bad = editable.findings.rows(Rule.BAD_ID, name)
    whole = {row for row in bad if _is_whole(editable.lists[name][row].get("id"))}
    editable.edit(name, whole, Rule.BAD_ID.title, "written as an integer", lambda item: {"id": int(item["id"])})
    editable.remove(name, bad - whole, Rule.BAD_ID.title)


def _is_whole(value: Any) -> bool:
    return type(value) is float and value.is_integer() and abs(value) < 2**53


def _as_id(value: Any) -> Id | None:
    return value if type(value) in (int, str) else None


def _merge(editable: EditableDocument, name: str, rule: Rule, key: str) -> None:
    """Keep the first item of each id if all with it agree in `key`; else remove all, since any may be the right one."""
    if not editable.findings.rows(rule, name):
        return
    groups: dict[Id, list[int]] = defaultdict(list)
    for row, item in editable.items(name):
        if (item_id := _as_id(item.get("id"))) is not None:
            groups[item_id].append(row)
    for rows in groups.values():
        if len({str(editable.lists[name][row].get(key)) for row in rows}) == 1:
            editable.remove(name, rows[1:], rule.title, f"merged, {key} is the same")
        else:
            editable.remove(name, rows, rule.title, f"removed with all of that id, {key} differs")


def _retarget(editable: EditableDocument, name: str, key: str, rule: Rule) -> None:
    """Correct references that write an id in another type, such as "2" or 2.0 for 2, and remove all others."""
    found = editable.findings.rows(rule, "annotations") - editable.removed["annotations"]
    if not found:
        return
    targets: dict[str, set[Id]] = defaultdict(set)
    for _, item in editable.items(name):
        targets[str(item["id"])].add(item["id"])
    for row in sorted(found):
        value = editable.lists["annotations"][row].get(key)
        text = str(int(value)) if _is_whole(value) else str(value)
        matches = targets.get(text, set()) if type(value) in (int, float, str) else set()
        if len(matches) == 1:
            action = f"{key} converted to the type of the id"
            editable.edit("annotations", [row], rule.title, action, _setter(**{key: min(matches)}))
        else:
            editable.remove("annotations", [row], rule.title)


def _renumber(editable: EditableDocument, name: str, key: str) -> None:
    numbers: dict[Any, int] = {}
    for number, (row, item) in enumerate(editable.items(name), start=1):
        numbers[item["id"]] = number
        editable.lists[name][row] = {**item, "id": number}
    editable.counts[Rule.MIXED_IDS.title, f"{name} renumbered from 1"] += 1
    for row, item in editable.items("annotations"):
        editable.lists["annotations"][row] = {**item, key: numbers[item[key]]}


def _setter(**values: Any) -> Callable[[JsonObject], JsonObject]:
    return lambda item: values


def _clipped(size: tuple[float, float], item: JsonObject) -> JsonObject:
    x, y, width, height = item["bbox"]
    left, top = max(x, 0), max(y, 0)
    right, bottom = min(x + width, int(size[1])), min(y + height, int(size[0]))
    bbox = {"bbox": [left, top, right - left, bottom - top]}
    return bbox if item.get("segmentation") else {**bbox, "area": (right - left) * (bottom - top)}


def _box_area(item: JsonObject) -> JsonObject:
    return {"area": item["bbox"][2] * item["bbox"][3]}
