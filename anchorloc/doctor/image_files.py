"""Check that image files exist, can be read and agree with the annotations."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from pathlib import Path

import numpy as np

from anchorloc.data.formats.image_finder import image_names
from anchorloc.data.formats.listed_images import lacks_size
from anchorloc.data.formats.nearest_names import NearestNames
from anchorloc.data.image_paths import is_absent, locate
from anchorloc.data.images import FORMATS, SUFFIXES, Header, needs_turning, read_header, read_image
from anchorloc.doctor.annotation_table import AnnotationTable
from anchorloc.doctor.document import CocoDocument
from anchorloc.doctor.duplicate_images import ImageFile, difference_hash
from anchorloc.doctor.findings import Findings, Reporter
from anchorloc.doctor.rules import Rule
from anchorloc.errors import InputError, ItemError
from anchorloc.structures import Size

UNIFORM = 4  # in 256 levels; noise and compression of a single color stay below
MAX_HINTS = 10  # missing files that are compared with the names in the folder


def check_image_files(
    document: CocoDocument, table: AnnotationTable, findings: Findings, decode: bool
) -> list[ImageFile]:
    """Check the header of every image, or with `decode` all its pixels, and return the readable files.

    `document.folder` must not be None.
    """
    reporter = Reporter(findings, document, "images")
    files = []
    for row, name, (height, width) in zip(table.image_rows.tolist(), table.names, table.sizes.tolist(), strict=True):
        if name is None:
            continue
        declared = (int(height), int(width)) if height < float("inf") else None
        file = _check_file(reporter, row, name, declared, decode)
        if file is not None:
            files.append(file)
    _add_nearest_names(document, findings)
    return files


def _check_file(reporter: Reporter, row: int, name: str, declared: Size | None, decode: bool) -> ImageFile | None:
    folder = reporter.document.folder
    assert folder is not None
    path = reporter.check(Rule.NO_FILE, row, _locate, folder, name)
    header = None if path is None else reporter.check(Rule.UNREADABLE, row, read_header, path)
    if path is None or header is None:
        return None
    if header.mode == "F":  # `read_image` refuses it
        reporter.add(Rule.UNREADABLE, row, "has floating-point pixels of unknown range")
        return None
    pixels = reporter.check(Rule.UNREADABLE, row, read_image, path) if decode else None
    if decode and pixels is None:
        return None
    if pixels is not None and (np.ptp(pixels, axis=(0, 1)) < UNIFORM).all():
        red, green, blue = pixels[0, 0].tolist()
        reporter.add(Rule.UNIFORM_IMAGE, row, f"red {red}, green {green}, blue {blue}")
    if declared is None and lacks_size(reporter.document.items("images")[row]):
        height, width = header.shown_size
        reporter.add(Rule.NO_SIZE, row, f"the file has {width} x {height} px")
    _check_header(reporter, row, header, declared, path)
    return ImageFile(row, path, header.shown_size, None if pixels is None else difference_hash(pixels))


def _add_nearest_names(document: CocoDocument, findings: Findings) -> None:
    """Add to the first files that are missing the names in the folder that are nearly theirs."""
    assert document.folder is not None
    cases = findings.cases.get(Rule.NO_FILE, [])
    missing = [place for place, case in enumerate(cases) if case.document is document][:MAX_HINTS]
    try:
        nearest = NearestNames(image_names(document.folder) if missing else [])
    except InputError:  # a folder inside cannot be read
        return
    for place in missing:
        case = cases[place]
        name = document.file_name("images", case.row)
        if is_absent(document.folder, name):
            cases[place] = case._replace(value=case.value + nearest.hint(name))


def _locate(folder: Path, name: str) -> Path:
    try:
        return locate(folder, name)
    except ItemError as error:  # every case would repeat the folder, which the user has given
        raise type(error)(str(error).replace(f" in {folder}", "", 1)) from None


def _check_header(reporter: Reporter, row: int, header: Header, declared: Size | None, path: Path) -> None:
    if declared is not None:
        try:
            turned = needs_turning(header, declared)
            if header.orientation != 1:
                value = "rotated to the declared size" if turned else "not applied: the stored size is the declared one"
                reporter.add(Rule.ORIENTATION, row, f"orientation {header.orientation}, {value}")
        except ItemError:
            (height, width), (rows, columns) = header.size, declared
            reporter.add(Rule.SIZE_DIFFERS, row, f"{width} x {height} px, declared {columns} x {rows}")
    if header.mode != "RGB":
        reporter.add(Rule.ODD_MODE, row, header.mode)
    if path.suffix.lower() not in SUFFIXES.get(header.format, SUFFIXES["JPEG"]):  # MPO is a JPEG with a preview
        reporter.add(Rule.ODD_FORMAT, row, f"{header.format} named {path.suffix or 'without a suffix'}")


def check_unlisted(documents: Iterable[CocoDocument], names: Collection[str], findings: Findings) -> None:
    """Report the image files in the folder of a document, without following links, that are not in `names`."""
    known = {os.path.normpath(name) for name in names}
    suffixes = tuple(suffix for name in FORMATS for suffix in SUFFIXES[name])
    folders = {document.folder: document for document in reversed(list(documents)) if document.folder is not None}
    for folder, document in folders.items():
        for parent, _, files in sorted(os.walk(folder)):
            for file in sorted(files):
                name = os.path.relpath(os.path.join(parent, file), folder)  # noqa: PTH118
                if name not in known and name.lower().endswith(suffixes):
                    findings.add(Rule.UNLISTED, document, "", -1, name)
