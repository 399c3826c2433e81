"""Run every check over one annotation file, or over train and val."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
from anchorloc.doctor.document import CocoDocument
from anchorloc.doctor.duplicate_images import ImageFile, check_duplicate_images
from anchorloc.doctor.file_checks import check_items
from anchorloc.doctor.findings import Findings
from anchorloc.doctor.image_files import check_image_files, check_unlisted
from anchorloc.doctor.overlaps import check_overlaps
from anchorloc.doctor.rules import Rule


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """The findings in one document, or in train and its val and test."""

    findings: Findings
    documents: Sequence[CocoDocument]
    tables: Sequence[AnnotationTable]
    files: Sequence[Sequence[ImageFile]]  # the readable image files of each document


def diagnose(documents: Sequence[CocoDocument], stride: float = 8, decode: bool = False) -> Diagnosis:
    """Check one document, or train and its val and test, and the image files of a document that has a folder.

    Args:
        documents: one document, or train first and then val and test.
        stride: the smallest stride of the network in pixels of the images; smaller boxes are reported.
        decode: decode all pixels, not only the headers.
    """
    findings = Findings()
    tables, files = [], []
    for document in documents:
        if document.nan_literals:
            words = sorted(set(document.nan_literals))
            findings.add(Rule.NOT_JSON, document, "", -1, f"{len(document.nan_literals):,} times {' and '.join(words)}")
        table = check_items(document, findings)
        check_box_format(document, table, findings)
        check_boxes(document, table, findings, stride)
        check_overlaps(document, table, findings)
        if document is documents[0]:  # `check_categories` reports the classes of train that val lacks
            check_classes(document, table, findings)
        check_names(document, table, findings)
        check_images(document, table, findings)
        tables.append(table)
        files.append([] if document.folder is None else check_image_files(document, table, findings, decode))
    names = [name for table in tables for name in table.names if name is not None]
    check_unlisted(documents, names, findings)
    check_duplicate_images(list(zip(documents, files, strict=True)), findings)
    train, *others = zip(documents, tables, strict=True)
    compared = all(document.folder is not None for document in documents)
    for other in others:
        check_categories(train, other, findings)
        check_shared_images(train, other, findings, files_compared=compared)
    return Diagnosis(findings, documents, tables, files)
