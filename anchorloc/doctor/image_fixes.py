"""Fix the images of a document: names and sizes come from their files, and what cannot be used is removed."""

from __future__ import annotations

import numpy as np

from anchorloc.data.formats.listed_images import may_have_files, near_names
from anchorloc.data.image_paths import name_of_url
from anchorloc.doctor.box_checks import ROUNDING, overshoot
from anchorloc.doctor.diagnosis import Diagnosis
from anchorloc.doctor.editable_document import EditableDocument, setter
from anchorloc.doctor.id_fixes import fix_ids, merge
from anchorloc.doctor.rules import Rule
from anchorloc.structures import Size

MISSING = (Rule.NO_FILE, Rule.BAD_FILE_NAME)
DROPPED = (*MISSING, Rule.UNREADABLE, Rule.NEEDS_SETTING, Rule.FOREIGN_FORMAT)  # on request: labels may be sound
SAME_SHAPE = 0.01  # relative difference of the two scale factors of an image that was shrunk or enlarged


def fix_images(editable: EditableDocument, diagnosis: Diagnosis, drop_missing: bool) -> set[int]:
    """Take names and sizes from the image files, and with `drop_missing` remove images that cannot be read.

    An image stays as it is, for the user to decide, if nothing gives its size or its file, or if its boxes fit the
    declared size and not the size of its file.

    Returns:
        The rows of the images whose size has changed.
    """
    sizes = {file.row: file.size for file in diagnosis.files[0]}
    of_files, resized, fitting = set(sizes), set(), _rows_that_fit(diagnosis, sizes)
    setting = editable.document.reading.orientation
    action = "size taken from the file" + (f" (data.orientation={setting})" if setting != "auto" else "")
    for rule, known in (
        (Rule.BAD_SIZE, of_files),
        (Rule.NO_SIZE, of_files),
        (Rule.SIZE_DIFFERS, fitting),
        (Rule.OTHER_READING, fitting),
    ):
        for row in sorted(editable.findings.rows(rule, "images") & known):
            height, width = sizes[row]
            editable.edit("images", [row], rule.title, action, setter(height=height, width=width))
            resized.add(row)
    fix_ids(editable, "images")
    _name_from_urls(editable)
    _rename(editable, drop_missing)
    for rule in (Rule.BAD_ITEM, *(DROPPED if drop_missing else ())):
        editable.remove_by_rule("images", rule)
    merge(editable, "images", Rule.SAME_IMAGE_ID, "file_name")
    return resized


def _name_from_urls(editable: EditableDocument) -> None:
    """Give images without a file_name the one at the end of their coco_url, as LVIS means it."""
    fixed = set()
    for row in _remaining(editable, Rule.BAD_FILE_NAME):
        item = editable.lists["images"][row]
        name = name_of_url(item.get("coco_url")) if item.get("file_name") is None else ""
        if name:
            editable.edit("images", [row], Rule.BAD_FILE_NAME.title, "taken from coco_url", setter(file_name=name))
            fixed.add(row)
    editable.findings.forget(Rule.BAD_FILE_NAME, "images", fixed)


def _rename(editable: EditableDocument, drop_missing: bool) -> None:
    """Give images without a file the name of the one that is meant, if one rule gives one to each of them.

    With `drop_missing`, images that no file can belong to do not stand in the way: they are removed.
    """
    folder = editable.document.folder
    rules = {row: rule for rule in MISSING for row in _remaining(editable, rule)}
    rows = [row for row in sorted(rules) if type(editable.lists["images"][row].get("file_name")) is str]
    if not rows or folder is None:
        return
    missing = [editable.lists["images"][row] for row in rows]
    found = [str(item.get("file_name")) for row, item in editable.items("images") if row not in rules]
    difference, names = near_names(missing, found, folder)
    if drop_missing and not names:
        rows = [row for row, may in zip(rows, may_have_files(missing, found, folder), strict=True) if may]
        difference, names = near_names([editable.lists["images"][row] for row in rows], found, folder)
    for row, name in zip(rows, names, strict=False):
        editable.edit("images", [row], "image", f"renamed, equal but for {difference}", setter(file_name=name))
    for rule in MISSING if names else ():
        editable.findings.forget(rule, "images", {row for row in rows if rules[row] is rule})  # they are there


def _remaining(editable: EditableDocument, rule: Rule) -> list[int]:
    return sorted(editable.findings.rows(rule, "images") - editable.removed["images"])


def _rows_that_fit(diagnosis: Diagnosis, sizes: dict[int, Size]) -> set[int]:
    """Return the rows of images whose boxes leave the size of the file no more often than the declared size.

    Left out are shrunk and enlarged copies with all boxes inside the declared size, where the boxes were drawn. Images
    declared in the size of their other EXIF reading fit only if, in all of them together, fewer boxes leave the size
    as read.
    """
    table = diagnosis.tables[0]
    rows = table.image_rows.tolist()
    of_files = np.array([sizes.get(row, tuple(size)) for row, size in zip(rows, table.sizes.tolist(), strict=True)])
    of_files = of_files.reshape(-1, 2)
    outside = [
        np.bincount(table.images, (overshoot(table.boxes, known[table.images]) > ROUNDING).any(axis=1), len(rows))
        for known in (of_files, table.sizes)
    ]  # 2 x (N,) boxes outside each image, by the file's size and by the declared size
    with np.errstate(invalid="ignore"):  # NaN where a size is unknown
        factors = of_files / table.sizes  # (N, 2)
        scaled = np.abs(factors[:, 0] / factors[:, 1] - 1) <= SAME_SHAPE
    drawn_on_declared = scaled & (outside[1] == 0) & (np.bincount(table.images, minlength=len(rows)) > 0)
    fits = (outside[0] <= outside[1]) & ~drawn_on_declared
    other = np.isin(table.image_rows, sorted(diagnosis.findings.rows(Rule.OTHER_READING, "images")))
    fits[other] = outside[0][other].sum() < outside[1][other].sum()
    return {row for row, fit in zip(rows, fits.tolist(), strict=True) if fit and row in sizes}
