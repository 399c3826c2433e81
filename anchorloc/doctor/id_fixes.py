"""Fix the ids of a document, and the references of its annotations to images and categories."""

from __future__ import annotations

from collections import defaultdict
from pathlib import PurePosixPath
from typing import Any

from anchorloc.data.coco_fields import Id, whole_number
from anchorloc.doctor.document import NOUNS
from anchorloc.doctor.editable_document import EditableDocument, JsonObject, setter
from anchorloc.doctor.rules import Rule

REFERENCES = {"images": ("image_id", Rule.UNKNOWN_IMAGE), "categories": ("category_id", Rule.UNKNOWN_CATEGORY)}
RENUMBERED = (Rule.BAD_ID, Rule.MIXED_IDS, Rule.SAME_ANNOTATION_ID, Rule.ID_ZERO, Rule.NO_ANNOTATION_ID)


def fix_ids(editable: EditableDocument, name: str) -> None:
    """Write ids such as 2.0 as 2, and remove items without a valid id."""
    bad = editable.findings.rows(Rule.BAD_ID, name)
    whole = {row for row in bad if whole_number(editable.lists[name][row].get("id"))}
    editable.edit(name, whole, Rule.BAD_ID.title, "written as an integer", lambda item: {"id": int(item["id"])})
    editable.remove(name, bad - whole, Rule.BAD_ID.title)


def merge(editable: EditableDocument, name: str, rule: Rule, key: str) -> None:
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


def fix_references(editable: EditableDocument) -> None:
    """Give ids of mixed types one type, follow them in the annotations, and remove annotations without a target."""
    for name, (key, rule) in REFERENCES.items():
        lost = editable.lost_ids(name)
        orphans = [row for row, item in editable.items("annotations") if _as_id(item.get(key)) in lost]
        editable.remove("annotations", orphans, f"annotation of a removed {NOUNS[name]}")
        _retarget(editable, name, key, rule)
        if editable.findings.rows(Rule.MIXED_IDS, name):
            _renumber(editable, name, key)


def renumber_annotations(editable: EditableDocument) -> None:
    """Number all annotations from 1 if any of their ids breaks a rule."""
    if any(editable.findings.rows(rule, "annotations") for rule in RENUMBERED):
        for number, (row, item) in enumerate(editable.items("annotations"), start=1):
            editable.lists["annotations"][row] = {**item, "id": number}
        editable.counts["annotation", "renumbered from 1"] = len(editable.items("annotations"))


def _as_id(value: Any) -> Id | None:
    return value if type(value) in (int, str) else None


def _retarget(editable: EditableDocument, name: str, key: str, rule: Rule) -> None:
    """Correct references that write an id in another type, such as "2" or 2.0 for 2, or a name; remove all others."""
    found = editable.findings.rows(rule, "annotations") - editable.removed["annotations"]
    if not found:
        return
    by_id: dict[str, set[Id]] = defaultdict(set)
    by_name: dict[str, set[Id]] = defaultdict(set)  # names of files or classes
    for _, item in editable.items(name):
        by_id[str(item["id"])].add(item["id"])
        for word in _names(item):
            by_name[word].add(item["id"])
    for row in sorted(found):
        value = editable.lists["annotations"][row].get(key)
        text = whole_number(value) or (str(value) if type(value) in (int, float, str) else "")
        matches, action = by_id.get(text, set()), f"{key} converted to the type of the id"
        if not matches:
            matches, action = by_name.get(text, set()), f"{key} is a name; its id written"
        if len(matches) == 1:
            editable.edit("annotations", [row], rule.title, action, setter(**{key: min(matches)}))
        else:
            editable.remove("annotations", [row], rule.title)


def _names(item: JsonObject) -> set[str]:
    """Return the words that name an image, its file with or without folders and suffix, or a category."""
    stated = item.get("file_name", item.get("name"))
    if type(stated) is not str:
        return set()
    path = PurePosixPath(stated)
    return {stated, path.name, path.stem} if "file_name" in item else {stated}


def _renumber(editable: EditableDocument, name: str, key: str) -> None:
    numbers: dict[Any, int] = {}
    for number, (row, item) in enumerate(editable.items(name), start=1):
        numbers[item["id"]] = number
        editable.lists[name][row] = {**item, "id": number}
    editable.counts[Rule.MIXED_IDS.title, f"{name} renumbered from 1"] += 1
    for row, item in editable.items("annotations"):
        editable.lists["annotations"][row] = {**item, key: numbers[item[key]]}
