"""Every check, over one annotation file or over train and val."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from anchorloc.doctor.annotation_table import Table
from anchorloc.doctor.box_checks import check_boxes
from anchorloc.doctor.box_format import check_formats
from anchorloc.doctor.class_checks import check_classes, check_images
from anchorloc.doctor.document import Document
from anchorloc.doctor.duplicate_images import check_copies
from anchorloc.doctor.file_checks import check_items
from anchorloc.doctor.findings import Findings
from anchorloc.doctor.image_files import ImageFile, check_image_files, check_unlisted
from anchorloc.doctor.overlaps import check_overlaps
from anchorloc.doctor.rules import NOT_JSON
from anchorloc.doctor.train_val import check_categories, check_names


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What was found in one document, or in train and val."""

    findings: Findings
    documents: Sequence[Document]
    tables: Sequence[Table]
    files: Sequence[Sequence[ImageFile]]  # of each document, those that can be read


def diagnose(documents: Sequence[Document], stride: float = 8, decode: bool = False) -> Diagnosis:
    """Look at one document, or at train and val, and at the image files where a document has a folder.

    Args:
        documents: one, or train and val.
        stride: smallest stride of the network in pixels of the images; boxes below it are noted.
        decode: read all pixels, rather than the headers.
    """
    findings = Findings()
    tables, files = [], []
    for document in documents:
        if document.constants:
            words = sorted(set(document.constants))
            findings.add(NOT_JSON, document, "", -1, f"{len(document.constants):,} times {' and '.join(words)}")
        table = check_items(document, findings)
        check_formats(document, table, findings)
        check_boxes(document, table, findings, stride)
        check_overlaps(document, table, findings)
        if document is documents[0]:  # what val lacks of train's classes is said by `check_names`
            check_classes(document, table, findings)
        check_images(document, table, findings)
        tables.append(table)
        files.append([] if document.folder is None else check_image_files(document, table, findings, decode))
    names = [name for table in tables for name in table.names if name is not None]
    check_unlisted(documents, names, findings)
    check_copies(list(zip(documents, files, strict=True)), findings)
    if len(documents) == 2:
        train, val = zip(documents, tables, strict=True)
        check_categories(train, val, findings)
        check_names(train, val, findings, compared=all(document.folder is not None for document in documents))
    return Diagnosis(findings, documents, tables, files)
