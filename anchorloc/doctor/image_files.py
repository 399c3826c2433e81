"""Image files: are they there, can they be read, are they what the annotations say?"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from anchorloc.data.image_paths import locate
from anchorloc.data.images import FORMATS, SUFFIXES, Header, needs_turning, read_header, read_image
from anchorloc.data.item_error import Flaw
from anchorloc.doctor import rules as kinds
from anchorloc.doctor.annotation_table import Table
from anchorloc.doctor.document import Document
from anchorloc.doctor.findings import Findings, Notebook
from anchorloc.doctor.image_hash import Fingerprint, fingerprint


@dataclass(frozen=True)
class ImageFile:
    """The file of an image that can be read."""

    row: int  # place in the list of images
    path: Path
    size: tuple[int, int]  # (height, width) as stored
    fingerprint: Fingerprint | None  # of its pixels, if they were decoded


def check_image_files(document: Document, table: Table, findings: Findings, decode: bool) -> list[ImageFile]:
    """Look at the header of every image, or with `decode` at all its pixels, and return the readable files.

    `document.folder` must be given.
    """
    notebook = Notebook(findings, document, "images")
    files = []
    for row, name, (height, width) in zip(table.image_rows.tolist(), table.names, table.sizes.tolist(), strict=True):
        if name is None:
            continue
        declared = (int(height), int(width)) if height < float("inf") else None
        file = _check_file(notebook, row, name, declared, decode)
        if file is not None:
            files.append(file)
    return files


def _check_file(
    notebook: Notebook, row: int, name: str, declared: tuple[int, int] | None, decode: bool
) -> ImageFile | None:
    folder = notebook.document.folder
    assert folder is not None
    path = notebook.read(kinds.NO_FILE, row, _locate, folder, name)
    header = None if path is None else notebook.read(kinds.UNREADABLE, row, read_header, path)
    if path is None or header is None:
        return None
    if header.mode == "F":  # refused when its pixels are asked for
        notebook.add(kinds.UNREADABLE, row, "has floating-point pixels, whose range nobody knows")
        return None
    pixels = notebook.read(kinds.UNREADABLE, row, read_image, path) if decode else None
    if decode and pixels is None:
        return None
    _check_header(notebook, row, header, declared, path)
    return ImageFile(row, path, header.size, None if pixels is None else fingerprint(pixels))


def _locate(folder: Path, name: str) -> Path:
    try:
        return locate(folder, name)
    except Flaw as flaw:  # the folder is known to the reader
        raise Flaw(str(flaw).replace(f" in {folder}", "", 1)) from None


def _check_header(notebook: Notebook, row: int, header: Header, declared: tuple[int, int] | None, path: Path) -> None:
    if declared is not None:
        try:
            turned = needs_turning(header, declared)
            if header.orientation != 1:
                value = "turned to the declared size" if turned else "not applied, as the stored size is the declared"
                notebook.add(kinds.ORIENTATION, row, f"orientation {header.orientation}, {value}")
        except Flaw:
            (height, width), (rows, columns) = header.size, declared
            notebook.add(kinds.SIZE_DIFFERS, row, f"{width} x {height} px, declared {columns} x {rows}")
    if header.mode != "RGB":
        notebook.add(kinds.ODD_MODE, row, header.mode)
    if path.suffix.lower() not in SUFFIXES.get(header.format, SUFFIXES["JPEG"]):  # MPO: a JPEG with a preview behind it
        notebook.add(kinds.ODD_FORMAT, row, f"{header.format} named {path.suffix or 'without a suffix'}")


def check_unlisted(documents: Iterable[Document], names: Collection[str], findings: Findings) -> None:
    """Note the image files that are in the folder of a document, links not followed, but among no `names`."""
    known = {os.path.normpath(name) for name in names}
    suffixes = tuple(suffix for name in FORMATS for suffix in SUFFIXES[name])
    folders = {document.folder: document for document in reversed(list(documents)) if document.folder is not None}
    for folder, document in folders.items():
        for parent, _, files in sorted(os.walk(folder)):
            for file in sorted(files):
                name = os.path.relpath(os.path.join(parent, file), folder)  # noqa: PTH118
                if name not in known and name.lower().endswith(suffixes):
                    findings.add(kinds.UNLISTED, document, "", -1, name)
