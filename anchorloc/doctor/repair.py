"""Fix a document until training accepts it."""

from __future__ import annotations

from anchorloc.doctor.box_format import xyxy_to_xywh
from anchorloc.doctor.diagnosis import Diagnosis, diagnose
from anchorloc.doctor.document import CocoDocument
from anchorloc.doctor.fixes import (
    EditableDocument,
    FixCounts,
    fix_boxes,
    fix_categories,
    fix_images,
    fix_references,
    renumber_annotations,
)
from anchorloc.doctor.rules import Rule, Severity
from anchorloc.errors import InputError

MAX_PASSES = 12  # a fix can uncover another fault, such as a missing file once the id is valid; 2 or 3 are usual


def repair(diagnosis: Diagnosis, stride: float, decode: bool, from_xyxy: bool = False) -> tuple[Diagnosis, FixCounts]:
    """Fix the first document of a diagnosis, and return the diagnosis of the result and the number of each fix.

    Args:
        diagnosis: of one document, or of train and val.
        stride: as for `diagnose`.
        decode: as for `diagnose`.
        from_xyxy: read the boxes as x1, y1, x2, y2 and convert them first.

    Raises:
        InputError: an error is left that no fix removes, such as a file without categories.
    """
    document, converted = diagnosis.documents[0], 0
    if from_xyxy:
        document, converted = xyxy_to_xywh(document, diagnosis.tables[0])
    if from_xyxy or len(diagnosis.documents) > 1:  # fixes of one file cannot remove findings between train and val
        diagnosis = diagnose([document], stride, decode)
    counts = FixCounts()
    for _ in range(MAX_PASSES):
        before, hidden = counts.total(), bool(diagnosis.findings.rows(Rule.BAD_ID, "images"))
        document = _fix_once(diagnosis, counts)
        if counts.total() == before:
            break
        diagnosis = diagnose([document], stride, decode and hidden)  # a bad id has hidden its image so far
    errors = diagnosis.findings.by_severity(Severity.ERROR)
    if errors:
        raise InputError(f"{document.path} cannot be fixed: {errors[0][0].title}; {errors[0][0].advice}")
    if converted:
        counts["box", "converted from x1, y1, x2, y2 to x, y, width, height"] = converted
    return diagnosis, counts


def _fix_once(diagnosis: Diagnosis, counts: FixCounts) -> CocoDocument:
    editable = EditableDocument(diagnosis.documents[0], diagnosis.findings, counts)
    missing_lists = diagnosis.findings.cases.get(Rule.NO_LIST, [])
    if missing_lists:
        counts[Rule.NO_LIST.title, "written as []"] += len(missing_lists)
    fix_images(editable, diagnosis)
    fix_categories(editable)
    fix_references(editable)
    fix_boxes(editable, diagnosis)
    renumber_annotations(editable)
    return editable.finish()
