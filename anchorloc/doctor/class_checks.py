"""Check the classes and images of one file, and of train and val beside each other."""

from __future__ import annotations

import numpy as np

from anchorloc.data.class_names import alike_names, plainly, root_row
from anchorloc.data.coco_fields import Id
from anchorloc.doctor.annotation_table import AnnotationTable
from anchorloc.doctor.document import CocoDocument
from anchorloc.doctor.findings import Findings, Reporter
from anchorloc.doctor.rules import Rule
from anchorloc.files import folded_name
from anchorloc.structures import Category
from anchorloc.text import counted, short_repr

RARE = 10  # a class with this many times fewer boxes than the largest class is rare
CROWDED = 10  # an image with this many times as many boxes as the median of images with boxes stands out
MIN_CROWD = 20  # boxes; fewer are no crowd
THIN = 5  # times its short side, an image hardly fills the canvas of others

_Annotated = tuple[CocoDocument, AnnotationTable]


def check_classes(document: CocoDocument, table: AnnotationTable, findings: Findings) -> None:
    """Report the root category of an export, classes without a box, and rare classes."""
    counts = table.class_counts()
    largest = int(counts.argmax()) if len(counts) else 0
    reporter = Reporter(findings, document, "categories")
    root = root_row(document.items("categories"), document.items("annotations"))
    for label, (row, count) in enumerate(zip(table.category_rows, counts.tolist(), strict=True)):
        name = short_repr(table.class_names[label])
        if row == root:
            reporter.add(Rule.ROOT_CATEGORY, row, f"{name}, the supercategory of all others")
        elif not count:
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
    spelled: dict[str, str] = {}  # the first file_name of each in another spelling
    for row, name in zip(table.image_rows.tolist(), table.names, strict=True):
        if name is None:
            continue
        if first.setdefault(name, row) != row:
            other = document.describe("images", first[name]).partition(" (")[0]
            reporter.add(Rule.SAME_FILE_NAME, row, f"same as {other}")
        elif (earlier := spelled.setdefault(folded_name(name), name)) != name:
            reporter.add(Rule.ALIKE_FILE_NAME, row, f"{short_repr(name)}, like {short_repr(earlier)}")


def check_names(document: CocoDocument, table: AnnotationTable, findings: Findings) -> None:
    """Report categories that have the name of an earlier one, or one that differs in blanks or letter case alone."""
    reporter, first = Reporter(findings, document, "categories"), dict[str, Category]()
    for row, category in zip(table.category_rows, table.categories, strict=True):
        earlier = first.setdefault(category.name, category)
        if earlier is not category:
            reporter.add(
                Rule.SAME_CATEGORY_NAME, row, f"{short_repr(category.name)}, as category {short_repr(earlier.id)}"
            )
    row_of = {category.name: row for row, category in zip(table.category_rows, table.categories, strict=True)}
    for first_name, *others in alike_names(row_of):
        for name in others:
            reporter.add(Rule.ALIKE_NAME, row_of[name], f"{short_repr(name)}, like {short_repr(first_name)}")


def check_categories(train: _Annotated, other: _Annotated, findings: Findings) -> None:
    """Report classes that only one of two splits has, and classes that have boxes in only one of them."""
    differ = set(train[1].categories) != set(other[1].categories)
    train_boxes, other_boxes = _boxes_by_name(train[1]), _boxes_by_name(other[1])
    for (document, table), (_, there), split, here, others, absent in (
        (train, other, other[0].split or "val", train_boxes, other_boxes, Rule.ABSENT_FROM_VAL),
        (other, train, train[0].split or "train", other_boxes, train_boxes, Rule.ABSENT_FROM_TRAIN),
    ):
        reporter = Reporter(findings, document, "categories")
        by_name = {category.name: category for category in there.categories}
        unmatched = {category.id: category.name for category in there.categories if category.name not in here}
        by_spelling = {plainly(name): name for name in unmatched.values()}
        for row, category in zip(table.category_rows, table.categories, strict=True):
            name, same = short_repr(category.name), by_name.get(category.name)
            if same is None:
                renamed = by_spelling.get(plainly(category.name), unmatched.get(category.id))
                difference = f"not in {split}" if renamed is None else f"but {short_repr(renamed)} in {split}"
                reporter.add(Rule.CATEGORIES_DIFFER, row, f"{name}, {difference}")
            elif differ and (category.shares_name or same.shares_name):
                reporter.add(Rule.CATEGORIES_DIFFER, row, f"{name}, the name of several categories")
            elif differ and same.id != category.id:
                reporter.add(Rule.OTHER_IDS, row, f"{name}, but with id {short_repr(same.id)} in {split}")
            if here[category.name] and others.get(category.name) == 0:
                reporter.add(absent, row, f"{name}: {counted(here[category.name], 'box')}")


def _boxes_by_name(table: AnnotationTable) -> dict[str, int]:
    boxes: dict[str, int] = {}
    for category, count in zip(table.categories, table.class_counts().tolist(), strict=True):
        boxes[category.name] = boxes.get(category.name, 0) + count
    return boxes


def check_shared_images(train: _Annotated, val: _Annotated, findings: Findings, files_compared: bool) -> None:
    """Report images of val that share an id with train, or a file_name unless the files themselves are compared."""
    ids, names = set(_image_ids(train).values()), {name for name in train[1].names if name is not None}
    reporter = Reporter(findings, val[0], "images")
    for row, image_id in _image_ids(val).items():
        if image_id in ids and not val[0].numbered:
            reporter.add(Rule.SHARED_ID, row, f"id {short_repr(image_id)}")
    for row, name in zip(val[1].image_rows.tolist(), val[1].names, strict=True):
        if not files_compared and name in names:
            reporter.add(Rule.SHARED_FILE_NAME, row, "in train too")


def _image_ids(split: _Annotated) -> dict[int, Id]:
    document, table = split
    items = document.items("images")
    return {row: items[row]["id"] for row in table.image_rows.tolist()}
