"""Annotation files for the tests of the doctor: a clean one, and mutations."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from anchorloc.doctor import Diagnosis, Severity, diagnose, read_document
from tests.data.data_sets import document, write_document

Changes = Iterable[tuple[tuple[Any, ...], Any]]


def clean() -> dict[str, Any]:
    """Return two images of 640 x 480 px, two classes, six boxes; nothing about them is worth a word."""
    boxes = [(1, 7, [10, 20, 100, 50]), (1, 3, [300, 200, 80, 90]), (1, 3, [500, 400, 140, 80]),
             (2, 7, [0, 0, 640, 480]), (2, 7, [320, 10, 20, 300]), (2, 3, [5, 300, 30, 30])]  # fmt: skip
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
    """Return the kinds that were found, of some severities or of all."""
    return {kind.key for kind, _ in diagnosis.findings.ordered() if kind.severity in (severities or Severity)}


def mutated(changes: Changes) -> dict[str, Any]:
    """Return a document with the values at some places replaced; places that are gone are passed over."""
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
