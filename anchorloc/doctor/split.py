"""Split a document into train and val, or k folds: groups of images stay whole, classes are spread evenly."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from anchorloc.data.stratified_split import stratified_group_split
from anchorloc.doctor.annotation_table import AnnotationTable
from anchorloc.doctor.diagnosis import Diagnosis
from anchorloc.doctor.document import CocoDocument, write_json_rows
from anchorloc.doctor.file_checks import check_items
from anchorloc.doctor.findings import Findings
from anchorloc.doctor.rules import Severity
from anchorloc.errors import InputError
from anchorloc.files import make_folder, refuse_filled
from anchorloc.structures import IntArray
from anchorloc.text import short_repr

NAMES = ("train", "val", "test")


@dataclass(frozen=True, eq=False)
class SplitFile:
    """One annotation file of a split."""

    name: str  # such as "train" or "fold_0_val"
    document: CocoDocument
    table: AnnotationTable
    groups: int  # number of groups of images


def split_document(
    diagnosis: Diagnosis,
    fractions: Sequence[float] = (0.8, 0.2),
    folds: int | None = None,
    key: str | None = None,
    pattern: str | None = None,
    seed: int = 0,
) -> list[SplitFile]:
    """Split the first document of a diagnosis.

    Args:
        diagnosis: of one document without errors.
        fractions: of train, val and possibly test, with sum 1.
        folds: make this many folds, each with a train and a val file, in place of fractions.
        key: images whose entries have the same value of this key stay in one file.
        pattern: images whose file_name has the same part captured by this regular expression stay in one file.
        seed: another seed gives another split.

    Raises:
        InputError: the document has errors, or the groups cannot be formed or split.
    """
    document, table = diagnosis.documents[0], diagnosis.tables[0]
    if diagnosis.findings.by_severity(Severity.ERROR):
        raise InputError(f"{document.path} has errors and is not split; add --fix OUT to split the fixed copy")
    groups = image_groups(document, key, pattern)
    fractions = [1 / folds] * folds if folds else fractions
    subsets = stratified_group_split(table.images, table.labels, groups, fractions, seed)
    rows = _rows_of_files(subsets, folds is not None)
    documents = {name: _with_images(document, rows[name]) for name in rows}
    return [
        SplitFile(name, one, check_items(one, Findings()), len({groups[row] for row in rows[name]}))
        for name, one in documents.items()
    ]


def image_groups(document: CocoDocument, key: str | None = None, pattern: str | None = None) -> list[str]:
    """Return the group of each image: the value of its `key`, or the part of file_name that `pattern` captures.

    Without either, each image is a group of its own.

    Raises:
        InputError: an image lacks the key or does not match, or `pattern` is not a regular expression with one group.
    """
    images = document.items("images")
    if key is not None:
        return [_group_by_key(document, row, key) for row in range(len(images))]
    if pattern is not None:
        compiled = compile_group_pattern(pattern)
        return [_group_by_name(document, row, compiled) for row in range(len(images))]
    return [str(row) for row in range(len(images))]


def write_splits(files: Sequence[SplitFile], folder: Path) -> None:
    """Write NAME.json for each file into a new or empty folder.

    Raises:
        InputError: the folder is not empty or cannot be written.
    """
    refuse_filled(folder, "--split")
    make_folder(folder, "--split")
    for file in files:
        write_json_rows(folder / f"{file.name}.json", file.document.content)


def _rows_of_files(subsets: IntArray, folds: bool) -> dict[str, list[int]]:
    """Return the rows of the images of train, val and test, or of fold_0_train, fold_0_val, fold_1_train and so on."""
    chosen = {}
    for number in range(int(subsets.max()) + 1):
        if folds:
            chosen[f"fold_{number}_train"] = subsets != number
            chosen[f"fold_{number}_val"] = subsets == number
        else:
            chosen[NAMES[number]] = subsets == number
    return {name: np.flatnonzero(where).tolist() for name, where in chosen.items()}


def _with_images(document: CocoDocument, rows: Sequence[int]) -> CocoDocument:
    """Return the document with only some of its images and their annotations; items are shared, not copied."""
    images = [document.items("images")[row] for row in rows]
    ids = {item["id"] for item in images}
    annotations = [item for item in document.items("annotations") if item["image_id"] in ids]
    content = {**document.content, "images": images, "annotations": annotations}
    return document.with_content(content)


def _group_by_key(document: CocoDocument, row: int, key: str) -> str:
    image = document.items("images")[row]
    name = f"{document.path}: {document.describe('images', row)}"
    if key not in image:
        raise InputError(f"{name} has no key {key!r}; choose one of {', '.join(map(str, image))} for --group-by")
    value = image[key]
    if type(value) not in (int, str):
        raise InputError(
            f"{name} has {key} {short_repr(value)}, which is no integer or string; choose another key for --group-by"
        )
    return repr(value)  # 1 and "1" are different groups


def compile_group_pattern(pattern: str) -> re.Pattern[str]:
    """Compile the regular expression of `image_groups`.

    Raises:
        InputError: it is not a regular expression with one group.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise InputError(f"--group-by-name {pattern!r} is not a regular expression: {error}") from None
    if compiled.groups != 1:
        raise InputError(
            f"--group-by-name {pattern!r} has {compiled.groups} groups; put ( ) around the one part that names the "
            "group, as in '^([^_]+)_'"
        )
    return compiled


def _group_by_name(document: CocoDocument, row: int, pattern: re.Pattern[str]) -> str:
    name = document.items("images")[row]["file_name"]
    match = pattern.search(name)
    if match is None or match[1] is None:
        raise InputError(
            f"{document.path}: {document.describe('images', row)} does not match --group-by-name {pattern.pattern!r}; "
            "change the pattern"
        )
    return match[1]
