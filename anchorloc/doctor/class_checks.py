"""Classes and images that have few boxes or none."""

from __future__ import annotations

import numpy as np

from anchorloc.doctor import rules as kinds
from anchorloc.doctor.annotation_table import Table
from anchorloc.doctor.document import Document
from anchorloc.doctor.findings import Findings, Notebook
from anchorloc.text import counted, short_repr

RARE = 10  # times fewer boxes than the largest class


def check_classes(document: Document, table: Table, findings: Findings) -> None:
    """Note classes without a box, and rare ones."""
    counts = table.class_counts()
    largest = int(counts.argmax()) if len(counts) else 0
    notebook = Notebook(findings, document, "categories")
    for label, (row, count) in enumerate(zip(table.category_rows, counts.tolist(), strict=True)):
        name = short_repr(table.class_names[label])
        if not count:
            notebook.add(kinds.NO_BOX, row, name)
        elif count * RARE < counts[largest]:
            most = f"{counts[largest]:,} of {short_repr(table.class_names[largest])}"
            notebook.add(kinds.RARE_CLASS, row, f"{name}: {counted(count, 'box', 'boxes')}, {most}")


def check_images(document: Document, table: Table, findings: Findings) -> None:
    """Note images without a box, and those that share their file."""
    notebook = Notebook(findings, document, "images")
    boxes = np.bincount(table.images, minlength=len(table.image_rows))
    for place in np.flatnonzero(boxes == 0).tolist():
        notebook.add(kinds.EMPTY_IMAGE, int(table.image_rows[place]), "no box")
    _check_names(notebook, table)


def _check_names(notebook: Notebook, table: Table) -> None:
    first: dict[str, int] = {}
    for row, name in zip(table.image_rows.tolist(), table.names, strict=True):
        if name is not None and first.setdefault(name, row) != row:
            other = notebook.document.describe("images", first[name]).partition(" (")[0]
            notebook.add(kinds.SAME_FILE_NAME, row, f"as {other}")
