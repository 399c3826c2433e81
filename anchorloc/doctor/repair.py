"""Mend a document until nothing is left that training refuses."""

from __future__ import annotations

from anchorloc.doctor import rules as kinds
from anchorloc.doctor.box_format import ALIKE, weigh_xyxy
from anchorloc.doctor.diagnosis import Diagnosis, diagnose
from anchorloc.doctor.document import Document
from anchorloc.doctor.editable import Changes, Draft
from anchorloc.doctor.fixes import mend_boxes, mend_categories, mend_images, mend_references, number_annotations
from anchorloc.doctor.rules import Severity
from anchorloc.errors import InputError

MOST_PASSES = 12  # mending uncovers what was hidden, such as an image's file once its id is right; 2 or 3 are common


def repair(diagnosis: Diagnosis, stride: float, decode: bool) -> tuple[Diagnosis, Changes]:
    """Mend the first document of a diagnosis, and return that of the mended one with what was changed.

    Raises:
        InputError: nothing usable is left, such as no category.
    """
    changes = Changes()
    for _ in range(MOST_PASSES):
        before, hidden = changes.total(), bool(diagnosis.findings.rows(kinds.BAD_ID, "images"))
        document = _mend(diagnosis, changes)
        if changes.total() == before:
            break
        diagnosis = diagnose([document], stride, decode and hidden)  # what was decoded once is known to be sound
    errors = diagnosis.findings.of(Severity.ERROR)
    if errors:
        raise InputError(f"{document.path} cannot be mended: {errors[0][0].title}; {errors[0][0].remedy}")
    return diagnosis, changes


def _mend(diagnosis: Diagnosis, changes: Changes) -> Document:
    draft = Draft(diagnosis.documents[0], diagnosis.findings, changes)
    missing = sorted(case.value for case in diagnosis.findings.cases.get(kinds.NO_LIST, []))
    if missing:
        changes[kinds.NO_LIST.title, "written as []"] += len(missing)
    mend_images(draft, diagnosis)
    mend_categories(draft)
    mend_references(draft)
    mend_boxes(draft, diagnosis)
    number_annotations(draft)
    return draft.finish()


def swap_xyxy(diagnosis: Diagnosis) -> tuple[Document, int]:
    """Rewrite the boxes of the first document, taken as x1, y1, x2, y2, to x, y, width, height, and count them.

    Raises:
        InputError: too many of them cannot be x1, y1, x2, y2.
    """
    document, evidence = diagnosis.documents[0], weigh_xyxy(diagnosis.tables[0])
    if evidence.impossible > (1 - ALIKE) * evidence.boxes:
        raise InputError(
            f"{document.path}: {evidence.impossible:,} of {evidence.boxes:,} boxes have x2 < x1 or y2 < y1 if read as "
            "x1, y1, x2, y2; leave out --fix-xyxy"
        )
    items = list(document.items("annotations"))
    rows = diagnosis.tables[0].rows.tolist()
    for row in rows:
        x1, y1, x2, y2 = items[row]["bbox"]
        items[row] = {**items[row], "bbox": [x1, y1, x2 - x1, y2 - y1]}
    return Document(document.path, {**document.content, "annotations": items}, document.folder), len(rows)
