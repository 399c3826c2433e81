"""Run every check over one annotation file, or over train and val."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from anchorloc.doctor.annotation_table import AnnotationTable
from anchorloc.doctor.box_checks import check_boxes
from anchorloc.doctor.box_format import check_box_format
from anchorloc.doctor.class_checks import (
    check_categories,
    check_classes,
    check_images,
    check_names,
    check_shared_images,
)
from anchorloc.doctor.class_shares import check_class_shares
from anchorloc.doctor.copied_labels import check_copied_boxes, check_copied_labels
from anchorloc.doctor.document import CocoDocument, not_finite
from anchorloc.doctor.duplicate_images import ImageFile, check_duplicate_images
from anchorloc.doctor.file_checks import check_items
from anchorloc.doctor.findings import Findings
from anchorloc.doctor.image_files import check_image_files, check_unlisted
from anchorloc.doctor.overlaps import check_overlaps
from anchorloc.doctor.polygons import check_polygons
from anchorloc.doctor.rules import Rule
from anchorloc.errors import InputError
from anchorloc.text import counted

T = TypeVar("T")
P = ParamSpec("P")


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """The findings in one document, or in train and its val and test."""

    findings: Findings
    documents: Sequence[CocoDocument]
    tables: Sequence[AnnotationTable]
    files: Sequence[Sequence[ImageFile]]  # the readable image files of each document


def diagnose(documents: Sequence[CocoDocument], stride: float = 8, decode: bool = False) -> Diagnosis:
    """Check one document, or train and its val and test, and the image files of a document that has a folder.

    A check that crashes is an error of that check; the other checks go on.

    Args:
        documents: one document, or train first and then val and test.
        stride: the smallest stride of the network in pixels of the images; smaller boxes are reported.
        decode: decode all pixels, not only the headers.
    """
    findings = Findings()
    tables: list[AnnotationTable] = []
    files: list[list[ImageFile]] = []
    for document in documents:
        run = _Runner(document, findings)
        if document.nan_literals:
            findings.add(Rule.NOT_JSON, document, "", -1, _literals(document))
        table = run(check_items, document, findings) or AnnotationTable.empty()
        readable = None if document.folder is None else run(check_image_files, document, table, findings, decode)
        files.append(readable or [])
        tables.append(table := table.with_sizes({file.row: file.size for file in files[-1]}))
        run(check_box_format, document, table, findings, {file.row: file.size for file in files[-1]})
        run(check_boxes, document, table, findings, stride)
        run(check_overlaps, document, table, findings)
        run(check_polygons, document, table, findings)
        run(check_copied_boxes, document, table, findings)
        if document is documents[0]:  # `check_categories` reports the classes of train that val lacks
            run(check_classes, document, table, findings)
        run(check_names, document, table, findings)
        run(check_images, document, table, findings)
    run = _Runner(documents[0], findings)
    names = [name for table in tables for name in table.names if name is not None]
    run(check_unlisted, documents, names, findings)
    run(check_duplicate_images, list(zip(documents, files, strict=True)), findings)
    train, *others = zip(documents, tables, strict=True)
    compared = all(document.folder is not None for document in documents)
    for other in others:
        run(check_categories, train, other, findings)
        run(check_class_shares, train, other, findings)
        run(check_shared_images, train, other, findings, files_compared=compared)
    run(check_copied_labels, list(zip(documents, tables, strict=True)), findings)
    return Diagnosis(findings, documents, tables, files)


def _literals(document: CocoDocument) -> str:
    words = " and ".join(sorted(set(document.nan_literals)))
    place = not_finite(document.content)
    return f"{counted(len(document.nan_literals), 'time')} {words}{place and f', first at {place}'}"


@dataclass(frozen=True)
class _Runner:
    """Runs checks, and makes an exception in one an error that names it."""

    document: CocoDocument
    findings: Findings

    def __call__(self, check: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T | None:
        """Return what the check returns, or None if it crashes."""
        try:
            return check(*arguments, **options)
        except (InputError, MemoryError):
            raise
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            name = check.__name__.removeprefix("check_").replace("_", " ")
            where = f"{place.filename.rpartition('/')[2]}:{place.lineno}"
            message = (str(error).splitlines() or [""])[0]
            value = f"{name}: {type(error).__name__}: {message} ({where})"
            self.findings.add(Rule.CRASHED_CHECK, self.document, "", -1, value)
            return None
