"""Fix a document until training accepts it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from anchorloc.doctor.conversions import Conversion, count_masks
from anchorloc.doctor.diagnosis import Diagnosis, diagnose
from anchorloc.doctor.document import CocoDocument
from anchorloc.doctor.editable_document import EditableDocument, FixCounts
from anchorloc.doctor.findings import Case
from anchorloc.doctor.fixes import fix_box_forms, fix_boxes, fix_categories, without_nan
from anchorloc.doctor.id_fixes import fix_ids, fix_references, merge, renumber_annotations
from anchorloc.doctor.image_fixes import fix_images
from anchorloc.doctor.rules import Rule, Severity
from anchorloc.errors import InputError
from anchorloc.text import counted, first_few

MAX_PASSES = 12  # a fix can uncover another fault, such as a missing file once the id is valid; 2 or 3 are usual


def repair(
    diagnosis: Diagnosis,
    stride: float,
    decode: bool,
    conversion: Callable[[Diagnosis], tuple[Conversion, str, str] | None] = lambda _: None,
    *,
    drop_missing: bool = False,
    drop_root: bool = False,
    drop_boxes: bool = False,
) -> tuple[Diagnosis, FixCounts]:
    """Fix the first document of a diagnosis, and return the diagnosis of the result and the number of each fix.

    Args:
        diagnosis: of one document, or of train and val.
        stride: as for `diagnose`.
        decode: as for `diagnose`.
        conversion: returns what to do once ids are valid, with the noun and the action of the summary; or None.
        drop_missing: remove the images whose files are missing or cannot be read, with their boxes.
        drop_root: remove the root category of a Roboflow export.
        drop_boxes: remove the boxes of other numbers than x, y, width, height.

    Raises:
        InputError: an error is left that no fix removes, such as a file without categories.
    """
    counts, summary, lost = FixCounts(), None, 0
    if len(diagnosis.documents) > 1:  # no fix removes findings between train and val
        diagnosis = diagnose(diagnosis.documents[:1], stride, decode)
    if conversion(diagnosis) is not None:
        diagnosis = _with_valid_ids(diagnosis, counts, stride)  # else the boxes of invalid ids are not converted
        chosen = conversion(diagnosis)
        assert chosen is not None
        document, number = chosen[0](diagnosis.documents[0], diagnosis.tables[0])
        summary = *chosen[1:], number
        lost = count_masks(diagnosis.documents[0]) - count_masks(document)
        diagnosis = diagnose([document], stride, decode)
    document = diagnosis.documents[0]
    final = {Rule.CRASHED_CHECK} if drop_missing else {Rule.CRASHED_CHECK, Rule.UNREADABLE}  # no fix removes these
    for _ in range(MAX_PASSES):
        if final & diagnosis.findings.cases.keys():
            break
        before, hidden = counts.total(), bool(diagnosis.findings.rows(Rule.BAD_ID, "images"))
        document = _fix_once(diagnosis, counts, drop_missing, drop_root, drop_boxes)
        if counts.total() == before:
            break
        diagnosis = diagnose([document], stride, decode and hidden)  # a bad id has hidden its image so far
    errors = sorted(diagnosis.findings.by_severity(Severity.ERROR), key=lambda pair: pair[0] not in final)
    if errors:
        raise InputError(f"{document.path} cannot be fixed: {_why(*errors[0], counts)}")
    if summary is not None:
        counts.count(*summary)
    counts.count("mask", "removed, since only polygons can be scaled", lost)
    return diagnosis, counts


def _with_valid_ids(diagnosis: Diagnosis, counts: FixCounts, stride: float) -> Diagnosis:
    """Return the diagnosis of the document whose ids are mended, and whose boxes are lists of numbers."""
    for _ in range(MAX_PASSES):
        before = counts.total()
        editable = EditableDocument(diagnosis.documents[0], diagnosis.findings, counts)
        fix_ids(editable, "images")
        merge(editable, "images", Rule.SAME_IMAGE_ID, "file_name")
        fix_categories(editable, drop_root=False)
        fix_references(editable)
        fix_box_forms(editable, objects=False)
        if counts.total() == before:
            break
        diagnosis = diagnose([editable.finish()], stride)
    return diagnosis


def _why(rule: Rule, cases: Sequence[Case], counts: FixCounts) -> str:
    """Return what is wrong, where, and what to do; for a file that the fixes have emptied, what they removed."""
    removed = [counted(number, what) for (what, action), number in counts.items() if action.startswith("removed")]
    if rule is Rule.NO_IMAGES and any(what.startswith("image") for what, _ in counts):
        return f"no image would be left, after the removal of {first_few(removed)}; correct these first"
    number, first = len(cases), cases[0]
    if not first.list_name:
        return f"{rule.title} ({first.value}); {rule.advice}"
    where = f"{first.document.describe(first.list_name, first.row)}: {first.value}"
    return f"{number:,} {rule.counted(number)} ({'first: ' if number > 1 else ''}{where}); {rule.advice}"


def _fix_once(
    diagnosis: Diagnosis, counts: FixCounts, drop_missing: bool, drop_root: bool, drop_boxes: bool
) -> CocoDocument:
    editable = EditableDocument(diagnosis.documents[0], diagnosis.findings, counts)
    missing_lists = diagnosis.findings.cases.get(Rule.NO_LIST, [])
    if missing_lists:
        counts.count(Rule.NO_LIST.title, "written as []", len(missing_lists), missing_lists[0].value)
    resized = fix_images(editable, diagnosis, drop_missing)
    fix_categories(editable, drop_root)
    fix_references(editable)
    fix_boxes(editable, diagnosis, resized, drop_boxes)
    renumber_annotations(editable)
    fixed = editable.finish()
    return without_nan(fixed, counts) if diagnosis.documents[0].nan_literals else fixed
