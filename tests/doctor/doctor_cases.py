"""Annotation files for the tests of the doctor: a clean one, and mutations of it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from anchorloc.doctor import Diagnosis, Severity, diagnose, read_document
from tests.data.data_sets import document, write_document

Changes = Iterable[tuple[tuple[Any, ...], Any]]


def clean() -> dict[str, Any]:
    """Return two images of 640 x 480 px, two classes, six boxes; no rule is broken."""
    boxes = [(1, 7, [10, 20, 100, 50]), (1, 3, [300, 200, 80, 90]), (1, 3, [500, 400, 140, 80]),
             (2, 7, [0, 0, 640, 400]), (2, 7, [320, 10, 40, 300]), (2, 3, [5, 300, 30, 30])]  # fmt: skip
    return {
        "info": {"year": 2026},
        "images": [{"id": number, "file_name": f"{number}.png", "height": 480, "width": 640} for number in (1, 2)],
        "categories": [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}],
        "annotations": [
            {"id": 10 + row, "image_id": image, "category_id": category, "bbox": bbox,
             "area": bbox[2] * bbox[3], "iscrowd": 0, "extra": row}
            for row, (image, category, bbox) in enumerate(boxes, start=1)
        ],
    }  # fmt: skip


def examine(path: Path, content: Any, **options: Any) -> Diagnosis:
    """Write a file and diagnose it."""
    return diagnose([read_document(write_document(path, content))], **options)


def keys(diagnosis: Diagnosis, *severities: Severity) -> set[str]:
    """Return the keys of the broken rules, of some severities or of all."""
    return {rule.key for rule, _ in diagnosis.findings.ordered() if rule.severity in (severities or Severity)}


def mutated(changes: Changes) -> dict[str, Any]:
    """Return a document with the values at some places replaced; places that no longer exist are skipped."""
    content = document()
    for place, value in changes:
        parent: Any = content
        try:
            for key in place[:-1]:
                parent = parent[key]
            parent[place[-1]] = copy.deepcopy(value)
        except (KeyError, IndexError, TypeError):
            continue
    return content


Change = Callable[[dict[str, Any]], object]


def annotation(row: int, **changes: Any) -> Change:
    return lambda content: content["annotations"][row].update(changes)


def image(**changes: Any) -> Change:
    return lambda content: content["images"][1].update(changes)


def category(**changes: Any) -> Change:
    return lambda content: content["categories"][1].update(changes)


def repeat(items: str, row: int, **changes: Any) -> Change:
    return lambda content: content[items].append({**content[items][row], **changes})


def shares(content: dict[str, Any]) -> None:
    for item in content["annotations"]:
        x, y, w, h = item["bbox"]
        item["bbox"] = [x / 640, y / 480, w / 640, h / 480]


def copied_box(content: dict[str, Any]) -> None:
    for number in range(3, 7):
        content["images"].append({**content["images"][0], "id": number, "file_name": f"{number}.png"})
        box = {**content["annotations"][0], "id": 100 + number, "image_id": number}
        other = {**box, "id": 200 + number, "bbox": [9, 9, 50 + number, 50], "area": 50 * (50 + number)}
        content["annotations"] += [box, other]


def copied_labels(content: dict[str, Any]) -> None:
    content["images"].append({**content["images"][0], "id": 9, "file_name": "9.png"})
    boxes = [item for item in content["annotations"] if item["image_id"] == 1]
    content["annotations"] += [{**item, "id": item["id"] + 100, "image_id": 9} for item in boxes]


def centered(content: dict[str, Any]) -> None:
    for item in content["annotations"]:
        item["bbox"] = [600, 440, 60, 60]


def exchanged(content: dict[str, Any]) -> None:
    for item in content["images"]:
        item.update(width=480, height=640)
    for item, left in zip(content["annotations"], (530, 520), strict=False):
        item["bbox"][0] = left


def root(content: dict[str, Any]) -> None:
    for item in content["categories"]:
        item["supercategory"] = "pets"
    content["categories"].append({"id": 8, "name": "pets", "supercategory": "none"})


# Rule: a change that breaks it, the item that the case names, and a fragment of its value.
FOUND: dict[str, tuple[Change, str, str]] = {
    "not-json": (annotation(0, bbox=[float("nan"), 1, float("inf"), 4]), "a.json", "2 times Infinity and NaN"),
    "no-images": (lambda c: c.update(images=[]), "a.json", "images: []"),
    "no-list": (lambda c: c.pop("annotations"), "a.json", "annotations: None"),
    "no-categories": (lambda c: c.update(categories=[]), "a.json", "categories: []"),
    "bad-item": (lambda c: c["annotations"].append(5), "annotation at row 6", "5"),
    "bad-id": (annotation(2, id=1.5), "annotation 1.5 (1.png)", "1.5"),
    "mixed-ids": (annotation(2, id="x"), "annotation 'x' (1.png)", "11 and 'x'"),
    "same-image-id": (repeat("images", 0, file_name="3.png"), "image 1 (3.png)", "also at row 0"),
    "same-category-id": (repeat("categories", 0), "category 7", "also at row 0"),
    "same-annotation-id": (annotation(2, id=11), "annotation 11 (1.png)", "also at row 0"),
    "bad-category-name": (category(name=5), "category 3", "name 5"),
    "bad-file-name": (image(file_name="../x.png"), "image 2 (../x.png)", "must be relative"),
    "bad-size": (image(height=0), "image 2 (2.png)", "height 0"),
    "bad-box": (annotation(0, bbox=[1, 2, None, 3]), "annotation 11 (1.png)", "[1, 2, None, 3]"),
    "odd-box": (annotation(0, bbox=[1, 2, 3, 4, 0.5]), "annotation 11 (1.png)", "[1, 2, 3, 4, 0.5]"),
    "far-box": (annotation(0, bbox=[1, 2, 1e8, 4]), "annotation 11 (1.png)", "100000000.0"),
    "negative-box": (annotation(0, bbox=[1, 2, -3, 4]), "annotation 11 (1.png)", "-3"),
    "unknown-image": (annotation(0, image_id="1"), "annotation 11", "image_id '1'"),
    "unknown-category": (annotation(0, category_id=4), "annotation 11 (1.png)", "category_id 4"),
    "bad-area": (annotation(0, area=-1), "annotation 11 (1.png)", "area -1"),
    "bad-crowd": (annotation(0, iscrowd=2), "annotation 11 (1.png)", "iscrowd 2"),
    "ignore-flag": (annotation(0, ignore=1), "annotation 11 (1.png)", "ignore 1"),
    "like-normalized": (shares, "a.json", "6 boxes lie within 0 to 1"),
    "like-centers": (centered, "a.json", "6 with x and y as the center"),
    "swapped-sizes": (exchanged, "a.json", "6 with width and height exchanged"),
    "other-scale": (
        lambda c: [i.update(width=160, height=120) for i in c["images"]], "a.json", "6 divided by 4"),
    "same-category-name": (category(name="dog"), "category 3", "'dog', as category 7"),
    "alike-name": (category(name="Dog "), "category 3", "'Dog ', like 'dog'"),
    "nothing-to-learn": (lambda c: [a.update(iscrowd=1) for a in c["annotations"]], "a.json", "6 boxes in all"),
    "many-crowds": (
        lambda c: [a.update(iscrowd=1) for a in c["annotations"][:4]], "a.json", "4 of 6 boxes"),
    "far-polygon": (
        annotation(0, segmentation=[[300, 300, 400, 300, 400, 350]]), "annotation 11 (1.png)",
        "bbox [10, 20, 100, 50], polygon 300 to 400, 300 to 350 px"),
    "copied-box": (copied_box, "annotation 11 (1.png)", "bbox [10, 20, 100, 50] in 5 of 6 images"),
    "copied-labels": (copied_labels, "image 9 (9.png)", "same as image 1 (1.png)"),
    "empty-box": (annotation(0, bbox=[1, 2, 0, 4], area=0), "annotation 11 (1.png)", "[1, 2, 0, 4] in 640 x 480 px"),
    "outside-box": (annotation(0, bbox=[640, 2, 10, 10], area=100), "annotation 11 (1.png)", "[640, 2, 10, 10]"),
    "partly-outside": (annotation(2, bbox=[500, 400, 140.6, 80]), "annotation 13 (1.png)", "140.6, 80] in 640"),
    "repeated-box": (repeat("annotations", 1, id=30), "annotation 30 (1.png)", "'cat': bbox [300, 200, 80, 90]"),
    "two-classes": (repeat("annotations", 1, id=30, category_id=7), "annotation 30 (1.png)", "'dog' and 'cat'"),
    "small-box": (annotation(0, bbox=[5, 5, 7.9, 2], area=16), "annotation 11 (1.png)", "7.9 x 2 px of 'dog'"),
    "id-zero": (annotation(0, id=0), "annotation 0 (1.png)", "id 0"),
    "no-annotation-id": (annotation(0, id=None), "annotation at row 0 (1.png)", "id None"),
    "no-crowd": (annotation(0, iscrowd=None), "annotation 11 (1.png)", "iscrowd None"),
    "no-area": (annotation(0, area=None), "annotation 11 (1.png)", "area None"),
    "area-differs": (annotation(0, area=4000), "annotation 11 (1.png)", "area 4000, box 100 x 50 px"),
    "same-file-name": (repeat("images", 0, id=9), "image 9 (1.png)", "same as image 1"),
    "alike-file-name": (
        repeat("images", 0, id=9, file_name="1.PNG"), "image 9 (1.PNG)", "'1.PNG', like '1.png'"),
    "root-category": (root, "category 8", "'pets', the supercategory of all others"),
    "no-box": (lambda c: c["categories"].append({"id": 8, "name": "owl"}), "category 8", "'owl'"),
    "empty-image": (repeat("images", 0, id=9, file_name="9.png"), "image 9 (9.png)", "no box"),
    "thin-image": (repeat("images", 0, id=9, file_name="9.png", height=128), "image 9 (9.png)", "640 x 128 px"),
    "thin-box": (annotation(5, bbox=[5, 300, 300, 30], area=9000), "annotation 16 (2.png)", "[5, 300, 300, 30]"),
    "whole-image": (annotation(3, bbox=[0, 0, 640, 460], area=294400), "annotation 14 (2.png)", "[0, 0, 640, 460]"),
}  # fmt: skip
