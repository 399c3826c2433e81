"""Check the classes and images of one file, and of train and val beside each other."""

from __future__ import annotations

import numpy as np

from anchorloc.data.coco_fields import Id
from anchorloc.doctor.annotation_table import AnnotationTable
from anchorloc.doctor.document import CocoDocument
from anchorloc.doctor.findings import Findings, Reporter
from anchorloc.doctor.rules import Rule
from anchorloc.structures import Category
from anchorloc.text import counted, short_repr

RARE = 10  # a class with this many times fewer boxes than the largest class is rare
CROWDED = 10  # an image with this many times as many boxes as the median of images with boxes stands out
MIN_CROWD = 20  # boxes; fewer are no crowd
THIN = 5  # times its short side, an image hardly fills the canvas of others

_Annotated = tuple[CocoDocument, AnnotationTable]


def check_classes(document: CocoDocument, table: AnnotationTable, findings: Findings) -> None:
    """Report classes without a box, and rare classes."""
    counts = table.class_counts()
    largest = int(counts.argmax()) if len(counts) else 0
    reporter = Reporter(findings, document, "categories")
    for label, (row, count) in enumerate(zip(table.category_rows, counts.tolist(), strict=True)):
        name = short_repr(table.class_names[label])
        if not count:
            reporter.add(Rule.NO_BOX, row, name)
        elif count * RARE < counts[largest]:
            most = f"{counts[largest]:,} of {short_repr(table.class_names[largest])}"
            reporter.add(Rule.RARE_CLASS, row, f"{name}: {counted(count, 'box')}, {most}")


def check_images(document: CocoDocument, table: AnnotationTable, findings: Findings) -> None:
    """Report images without a box, with very many boxes, of extreme shape, or with the file_name of another."""
    reporter = Reporter(findings, document, "images")
    boxes = np.bincount(table.images, minlength=len(table.image_rows))
    for index in np.flatnonzero(boxes == 0).tolist():
        reporter.add(Rule.EMPTY_IMAGE, int(table.image_rows[index]), "no box")
    usual = float(np.median(boxes[boxes > 0])) if boxes.any() else 0
    for index in np.flatnonzero(boxes > max(CROWDED * usual, MIN_CROWD)).tolist():
        value = f"{counted(int(boxes[index]), 'box')}, median {usual:g}"
        reporter.add(Rule.CROWDED_IMAGE, int(table.image_rows[index]), value)
    known = np.isfinite(table.sizes).all(axis=1)
    for index in np.flatnonzero(known & (table.sizes.max(axis=1) >= THIN * table.sizes.min(axis=1))).tolist():
        height, width = table.sizes[index]
        reporter.add(Rule.THIN_IMAGE, int(table.image_rows[index]), f"{width:.0f} x {height:.0f} px")
    first: dict[str, int] = {}  # the row of each file_name
    for row, name in zip(table.image_rows.tolist(), table.names, strict=True):
        if name is not None and first.setdefault(name, row) != row:
            other = document.describe("images", first[name]).partition(" (")[0]
            reporter.add(Rule.SAME_FILE_NAME, row, f"same as {other}")


def check_categories(train: _Annotated, val: _Annotated, findings: Findings) -> None:
    """Report categories that only one file has, and classes that have boxes in only one file."""
    names = [[category.name for category in table.categories] for _, table in (train, val)]
    same_names = sorted(names[0]) == sorted(names[1]) and len(set(names[0])) == len(names[0])
    rule = Rule.OTHER_IDS if same_names else Rule.CATEGORIES_DIFFER
    for (document, table), (_, other), name in ((train, val, "val"), (val, train, "train")):
        reporter = Reporter(findings, document, "categories")
        for row, category in zip(table.category_rows, table.categories, strict=True):
            if category not in other.categories:
                difference = _difference(category, other, name)
                reporter.add(rule, row, f"{short_repr(category.name)}, {difference}")
    boxes = [dict(zip(table.categories, table.class_counts().tolist(), strict=True)) for _, table in (train, val)]
    for (document, table), here, there, absent in (
        (train, boxes[0], boxes[1], Rule.ABSENT_FROM_VAL),
        (val, boxes[1], boxes[0], Rule.ABSENT_FROM_TRAIN),
    ):
        reporter = Reporter(findings, document, "categories")
        for row, category in zip(table.category_rows, table.categories, strict=True):
            if here[category] and there.get(category) == 0:
                reporter.add(absent, row, f"{short_repr(category.name)}: {counted(here[category], 'box')}")


def _difference(category: Category, table: AnnotationTable, split: str) -> str:
    """Describe how the other split lists a category: under another name, another id, or not at all."""
    names = {other.id: other.name for other in table.categories}
    if category.id in names:
        return f"but {short_repr(names[category.id])} in {split}"
    ids = [other.id for other in table.categories if other.name == category.name]
    return f"but with id {short_repr(ids[0])} in {split}" if ids else f"not in {split}"


def check_shared_images(train: _Annotated, val: _Annotated, findings: Findings, files_compared: bool) -> None:
    """Report images of val that share an id with train, or a file_name unless the files themselves are compared."""
    ids, names = set(_image_ids(train).values()), {name for name in train[1].names if name is not None}
    reporter = Reporter(findings, val[0], "images")
    for row, image_id in _image_ids(val).items():
        if image_id in ids:
            reporter.add(Rule.SHARED_ID, row, f"id {short_repr(image_id)}")
    for row, name in zip(val[1].image_rows.tolist(), val[1].names, strict=True):
        if not files_compared and name in names:
            reporter.add(Rule.SHARED_FILE_NAME, row, "in train too")


def _image_ids(split: _Annotated) -> dict[int, Id]:
    document, table = split
    items = document.items("images")
    return {row: items[row]["id"] for row in table.image_rows.tolist()}
