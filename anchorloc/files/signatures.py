"""Recognize what a file is that should hold labels as text, by its first bytes."""

from __future__ import annotations

from typing import Final

UNPACK: Final = "unpack it and give the file or folder inside"
LABELS: Final = "give the file of the labels"
UTF_8: Final = "save it as UTF-8"
SIGNATURES: Final = {  # first bytes: (what the file is, what to do)
    b"PK\x03\x04": ("a ZIP archive", UNPACK),
    b"PK\x05\x06": ("an empty ZIP archive", "export the labels again"),
    b"\x1f\x8b": ("compressed by gzip", UNPACK),
    b"BZh": ("compressed by bzip2", UNPACK),
    b"\xfd7zXZ\x00": ("compressed by xz", UNPACK),
    b"\x28\xb5\x2f\xfd": ("compressed by zstd", UNPACK),
    b"7z\xbc\xaf\x27\x1c": ("a 7z archive", UNPACK),
    b"Rar!\x1a\x07": ("a RAR archive", UNPACK),
    b"%PDF-": ("a PDF document", LABELS),
    b"\x89PNG\r\n": ("a PNG image", LABELS),
    b"\xff\xd8\xff": ("a JPEG image", LABELS),
    b"GIF8": ("a GIF image", LABELS),
    b"II*\x00": ("a TIFF image", LABELS),
    b"MM\x00*": ("a TIFF image", LABELS),
    b"RIFF": ("a RIFF file, such as a WebP image", LABELS),
    b"\x93NUMPY": ("a NumPy array", LABELS),
    b"\x89HDF": ("an HDF5 file", LABELS),
    b"PAR1": ("a Parquet table", "save it as CSV"),
    b"SQLite format 3\x00": ("an SQLite database", LABELS),
    b"\xd0\xcf\x11\xe0": ("a document of Microsoft Office", "save it as CSV"),
    b"\x80\x02": ("a Python pickle", LABELS),
    b"\x80\x03": ("a Python pickle", LABELS),
    b"\x80\x04": ("a Python pickle", LABELS),
    b"\x80\x05": ("a Python pickle", LABELS),
    b"\xff\xfe\x00\x00": ("UTF-32 text", UTF_8),
    b"\x00\x00\xfe\xff": ("UTF-32 text", UTF_8),
    b"\xff\xfe": ("UTF-16 text", UTF_8),
    b"\xfe\xff": ("UTF-16 text", UTF_8),
    b"\x00\x00\x00\x00": ("filled with null bytes, as after a copy that failed", "copy or export it again"),
    b"version https://git-lfs": ("a pointer of Git LFS, not the file itself", "run `git lfs pull`"),
}
_ALL: Final = tuple(SIGNATURES)
_PAGES: Final = (b"<!doctype html", b"<html")


def foreign_content(data: bytes) -> str:
    """Return what a file is if it is no text in UTF-8, and what to do: "a ZIP archive; unpack it"; else "".

    >>> foreign_content(b"%PDF-1.7"), foreign_content(b"[]")
    ('a PDF document; give the file of the labels', '')
    """
    found: tuple[str, str] | None = None
    if data.startswith(_ALL):
        found = next(SIGNATURES[first] for first in _ALL if data.startswith(first))
    elif 0 in data[:2] and (_is_letters(data[:4:2], data[1:4:2]) or _is_letters(data[1:4:2], data[:4:2])):
        found = "UTF-16 text", UTF_8
    elif data[257:262] == b"ustar":
        found = "a tar archive", UNPACK
    elif data[:1] in (b"<", b"\r", b"\n", b" ") and data[:256].lstrip().lower().startswith(_PAGES):
        found = "a web page", "download the file itself"
    return "" if found is None else "; ".join(found)


def _is_letters(bytes_: bytes, zeros: bytes) -> bool:
    """Return whether bytes that alternate with null bytes are the letters of UTF-16 without a byte order mark."""
    return bool(bytes_) and bytes_.isascii() and bytes_.decode().strip("\t\r\n").isprintable() and not any(zeros)
