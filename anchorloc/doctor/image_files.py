"""Check that image files exist, can be read and agree with the annotations."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import TypeVar

import numpy as np

from anchorloc.data.band_values import NeedsSettingError
from anchorloc.data.cut_off_jpeg import may_lack_end
from anchorloc.data.formats.image_finder import image_names, walk_images
from anchorloc.data.formats.listed_images import lacks_size
from anchorloc.data.formats.nearest_names import NearestNames
from anchorloc.data.image_check import (
    DECODED,
    Content,
    OrientationTally,
    WholeImage,
    may_lose,
    read_content,
    read_whole,
)
from anchorloc.data.image_formats import SUFFIXES, ForeignFormatError, foreign_format
from anchorloc.data.image_paths import is_absent, locate
from anchorloc.data.image_settings import ImageSettings
from anchorloc.data.images import Header, needs_turning, read_header, refuse_unreadable
from anchorloc.doctor.annotation_table import AnnotationTable
from anchorloc.doctor.document import CocoDocument
from anchorloc.doctor.duplicate_images import ImageFile, difference_hash
from anchorloc.doctor.findings import Findings, Reporter, without_advice
from anchorloc.doctor.rules import Rule
from anchorloc.errors import AccessError, InputError, ItemError
from anchorloc.structures import Float64Array, Size
from anchorloc.text import percent

T = TypeVar("T")

UNIFORM = 4  # in 256 levels; noise and compression of a single color stay below
MAX_HINTS = 10  # missing files that are compared with the names in the folder


def check_image_files(
    document: CocoDocument, table: AnnotationTable, findings: Findings, decode: bool
) -> list[ImageFile]:
    """Check the header of every image, or with `decode` all its pixels, and return the readable files.

    Without `decode`, a few of the images whose content may be lost when they are read are decoded all the same.
    `document.folder` must not be None.
    """
    reporter, reading = Reporter(findings, document, "images"), document.reading
    orientation, boxes = OrientationTally(reading.orientation), _boxes_by_image(table)
    files, decoded = [], 0
    columns = zip(table.image_rows.tolist(), table.names, table.sizes.tolist(), boxes, strict=True)
    for row, name, (height, width), of_image in columns:
        if name is None:
            continue
        assert document.folder is not None
        path = reporter.check(Rule.NO_FILE, row, _locate, document.folder, name)
        header = None if path is None else _read(reporter, row, _read_header, path, reading)
        if path is None or header is None:
            continue
        needs_pixels = decode or (header.format == "JPEG" and may_lack_end(path))
        whole = _read(reporter, row, read_whole, path, reading) if needs_pixels else None
        if whole is None and needs_pixels:
            continue
        declared = (int(height), int(width)) if height < float("inf") else None
        turns = _check_size(reporter, row, header, declared)
        orientation.add(name, header, turns, of_image)
        _check_header(reporter, row, header, path)
        size = header.size if reading.orientation == "ignore" else header.shown_size
        if declared is None and lacks_size(document.items("images")[row]):
            reporter.add(Rule.NO_SIZE, row, f"the file has {size[1]} x {size[0]} px")
        content = None if whole is None else whole.content
        if whole is None and may_lose(header, reading) and decoded < DECODED:
            decoded += 1
            content = _read(reporter, row, read_content, path, reading)
        if whole is not None:
            _check_pixels(reporter, row, whole)
        if content is not None:
            _check_content(reporter, row, header, content)
        files.append(ImageFile(row, path, size, difference_hash(whole.pixels) if decode and whole else None))
    if orientation.better:
        findings.summarize(Rule.ORIENTATION, document, orientation.better)
    _add_nearest_names(document, findings)
    return files


def _check_pixels(reporter: Reporter, row: int, whole: WholeImage) -> None:
    if whole.cut_off:
        reporter.add(Rule.CUT_OFF, row, "read without its last rows")
    if (np.ptp(whole.pixels, axis=(0, 1)) < UNIFORM).all():
        red, green, blue = whole.pixels[0, 0].tolist()
        reporter.add(Rule.UNIFORM_IMAGE, row, f"red {red}, green {green}, blue {blue}")


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


def _boxes_by_image(table: AnnotationTable) -> list[Float64Array]:
    """Return the boxes, (M, 4) xyxy, of each image of the table."""
    order = np.argsort(table.images, kind="stable")
    ends = np.searchsorted(table.images[order], np.arange(len(table.image_rows)), side="right")
    return np.split(table.boxes[order], ends[:-1]) if len(ends) else []


def _read(reporter: Reporter, row: int, read: Callable[..., T], *arguments: object) -> T | None:
    """Return what `read` returns, or None after a case of the rule that the file breaks."""
    try:
        return read(*arguments)
    except NeedsSettingError as error:
        reporter.add(Rule.NEEDS_SETTING, row, str(error))
    except ForeignFormatError as error:
        reporter.add(Rule.FOREIGN_FORMAT, row, without_advice(error))
    except ItemError as error:
        rule = Rule.NO_ACCESS if isinstance(error, AccessError) else Rule.UNREADABLE
        reporter.add(rule, row, without_advice(error))
    return None


def _read_header(path: Path, reading: ImageSettings) -> Header:
    header = read_header(path, reading.max_pixels)
    refuse_unreadable(header, reading)
    return header


def _locate(folder: Path, name: str) -> Path:
    try:
        return locate(folder, name)
    except ItemError as error:  # every case would repeat the folder, which the user has given
        raise type(error)(str(error).replace(f" in {folder}", "", 1)) from None


def _check_size(reporter: Reporter, row: int, header: Header, declared: Size | None) -> bool:
    """Report another size than the declared one, and an EXIF orientation; return whether it is applied."""
    setting = reporter.document.reading.orientation
    try:
        turns = needs_turning(header, declared, setting)
    except ItemError:
        height, width = header.shown_size if setting == "apply" else header.size
        rows, columns = declared or (0, 0)
        other = setting != "auto" and declared in (header.size, header.shown_size)
        how = f" (data.orientation={setting})" if other else ""
        rule = Rule.OTHER_READING if other else Rule.SIZE_DIFFERS
        reporter.add(rule, row, f"{width} x {height} px{how}, declared {columns} x {rows}")
        return setting != "ignore" and header.orientation != 1
    if header.orientation != 1:
        left = "not applied" + (": the stored size is the declared one" if setting == "auto" else "")
        outcome = f"{'applied' if turns else left} (data.orientation={setting})"
        reporter.add(Rule.ORIENTATION, row, f"orientation {header.orientation} is {outcome}")
    return turns


def _check_header(reporter: Reporter, row: int, header: Header, path: Path) -> None:
    if header.kind != "RGB":
        reporter.add(Rule.ODD_MODE, row, header.kind)
    if header.unused_bands and reporter.document.reading.bands is None:
        reporter.add(Rule.UNUSED_BANDS, row, header.kind)
    if header.pages > 1:
        reporter.add(Rule.SEVERAL_PAGES, row, f"{header.pages:,} pages")
    if path.suffix.lower() not in SUFFIXES.get(header.format, SUFFIXES["JPEG"]):  # MPO is a JPEG with a preview
        reporter.add(Rule.ODD_FORMAT, row, f"{header.format} named {path.suffix or 'without a suffix'}")


def _check_content(reporter: Reporter, row: int, header: Header, content: Content) -> None:
    if content.loses_levels:
        reporter.add(Rule.FEW_LEVELS, row, content.levels_lost(header.bits))
    if content.hidden:
        reporter.add(Rule.HIDDEN_BY_ALPHA, row, f"{percent(content.hidden)} of it becomes white")


def check_unlisted(documents: Iterable[CocoDocument], names: Collection[str], findings: Findings) -> None:
    """Report the image files in the folder of a document, without following links, that are not in `names`."""
    known = {os.path.normpath(name) for name in names}
    folders = {document.folder: document for document in reversed(list(documents)) if document.folder is not None}
    for folder, document in folders.items():
        try:
            for path in walk_images(folder):
                name = str(path.relative_to(folder))
                if name in known:
                    continue
                if kind := foreign_format(path):
                    findings.add(Rule.FOREIGN_FILE, document, "", -1, f"{name} ({kind})")
                else:
                    findings.add(Rule.UNLISTED, document, "", -1, name)
        except InputError as error:  # the images may lie in the other folders
            findings.add(Rule.UNLISTED, document, "", -1, str(error).partition(";")[0])
