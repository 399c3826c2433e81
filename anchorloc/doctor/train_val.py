"""Train and val beside each other."""

from __future__ import annotations

from anchorloc.data.coco_fields import Id
from anchorloc.doctor import rules as kinds
from anchorloc.doctor.annotation_table import Table
from anchorloc.doctor.document import Document
from anchorloc.doctor.findings import Findings, Notebook
from anchorloc.structures import Category
from anchorloc.text import counted, short_repr

Split = tuple[Document, Table]


def check_categories(train: Split, val: Split, findings: Findings) -> None:
    """Note categories that only one file has, and classes that have boxes in only one of them."""
    for (document, table), (_, other), name in ((train, val, "val"), (val, train, "train")):
        notebook = Notebook(findings, document, "categories")
        for row, category in zip(table.category_rows, table.categories, strict=True):
            if category not in other.categories:
                notebook.add(
                    kinds.CATEGORIES_DIFFER, row, f"{short_repr(category.name)}, {_as_known(category, other, name)}"
                )
    boxes = [dict(zip(table.categories, table.class_counts().tolist(), strict=True)) for _, table in (train, val)]
    for (document, table), here, there, kind in (
        (train, boxes[0], boxes[1], kinds.ABSENT_FROM_VAL),
        (val, boxes[1], boxes[0], kinds.ABSENT_FROM_TRAIN),
    ):
        notebook = Notebook(findings, document, "categories")
        for row, category in zip(table.category_rows, table.categories, strict=True):
            if here[category] and there.get(category) == 0:
                notebook.add(kind, row, f"{short_repr(category.name)}: {counted(here[category], 'box', 'boxes')}")


def _as_known(category: Category, table: Table, file: str) -> str:
    names = {other.id: other.name for other in table.categories}
    if category.id in names:
        return f"but {short_repr(names[category.id])} in {file}"
    ids = [other.id for other in table.categories if other.name == category.name]
    return f"but of id {short_repr(ids[0])} in {file}" if ids else f"not in {file}"


def check_names(train: Split, val: Split, findings: Findings, compared: bool) -> None:
    """Note images of val that have the id of one of train, or its file_name, if their files are not `compared`."""
    ids, names = set(_ids(train).values()), {name for name in train[1].names if name is not None}
    notebook = Notebook(findings, val[0], "images")
    for row, image_id in _ids(val).items():
        if image_id in ids:
            notebook.add(kinds.SHARED_ID, row, f"id {short_repr(image_id)}")
    for row, name in zip(val[1].image_rows.tolist(), val[1].names, strict=True):
        if not compared and name in names:
            notebook.add(kinds.SHARED_FILE_NAME, row, "in train too")


def _ids(split: Split) -> dict[int, Id]:
    items = split[0].items("images")
    return {row: items[row]["id"] for row in split[1].image_rows.tolist()}
