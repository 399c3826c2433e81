"""The image formats that are read, and those that are known but not read."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Final, TypeAlias

from anchorloc.errors import ItemError

ImageFile: TypeAlias = Path | bytes  # a file, or its bytes

# Pillow reads more formats, but some of its readers start other programs (EPS) or have no use here.
SUFFIXES: Final = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"), "PNG": (".png",), "GIF": (".gif",), "BMP": (".bmp", ".dib"),
    "TIFF": (".tif", ".tiff"), "WEBP": (".webp",), "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "JPEG2000": (".jp2", ".j2k", ".jpx"), "AVIF": (".avif",),
}  # fmt: skip
FORMATS: Final = tuple(SUFFIXES)
KNOWN_SUFFIXES: Final = frozenset(suffix for suffixes in SUFFIXES.values() for suffix in suffixes)
FOREIGN_SUFFIXES: Final = {  # formats that are not read
    "HEIC": (".heic", ".heif", ".hif"), "JPEG XL": (".jxl",), "DICOM": (".dcm", ".dicom"), "SVG": (".svg",),
    "Photoshop": (".psd",),
    "camera raw": (".dng", ".nef", ".nrw", ".cr2", ".cr3", ".crw", ".arw", ".sr2", ".raf", ".rw2", ".orf", ".pef"),
}  # fmt: skip
FOREIGN_MAGIC: Final = {  # (offset, bytes) that their content has
    "HEIC": ((4, b"ftypheic"), (4, b"ftypheix"), (4, b"ftyphevc"), (4, b"ftypmif1"), (4, b"ftypmsf1")),
    "JPEG XL": ((0, b"\xff\x0a"), (0, b"\0\0\0\x0cJXL ")),
    "DICOM": ((128, b"DICM"),),
    "Photoshop": ((0, b"8BPS"),),
    "camera raw": ((8, b"CR\x02"), (4, b"ftypcrx"), (0, b"FUJIFILMCCD-RAW"), (0, b"IIU\0"), (0, b"IIRO")),
}

USUAL_MAGIC: Final = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")  # PNG and JPEG, which are no other format


class ForeignFormatError(ItemError):
    """An image in a format that is known but not read."""


def foreign_format(path: Path) -> str:
    """Return the name of a format that is not read, by the suffix of a file; "" for any other file."""
    suffix = path.suffix.lower()
    return next((name for name, suffixes in FOREIGN_SUFFIXES.items() if suffix in suffixes), "")


def file_bytes(file: ImageFile) -> bytes:
    """Return the whole content of a file."""
    return file if isinstance(file, bytes) else file.read_bytes()


def refuse_foreign(file: BinaryIO, path: Path | None) -> None:
    """Refuse a format that is known but not read, and leave the file at its start."""
    head = file.read(160)
    file.seek(0)
    if head.startswith(USUAL_MAGIC):
        return
    found = [name for name, marks in FOREIGN_MAGIC.items() if any(head.startswith(bits, at) for at, bits in marks)]
    if path is not None and foreign_format(path) == "camera raw" and head[:2] in (b"II", b"MM"):
        found = ["camera raw"]  # a TIFF whose first page is a preview
    if found and b"avif" not in head[16:64]:
        raise ForeignFormatError(f"is a file in the format {found[0]}, which is not read; convert it to JPEG or PNG")
