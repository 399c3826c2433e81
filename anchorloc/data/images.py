"""Read image files as RGB pixels."""

from __future__ import annotations

import errno
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from anchorloc.errors import AccessError, ItemError
from anchorloc.structures import Pixels, Size

# Pillow reads more formats, but some of its readers start other programs (EPS) or have no use here.
SUFFIXES = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"), "PNG": (".png",), "GIF": (".gif",), "BMP": (".bmp", ".dib"),
    "TIFF": (".tif", ".tiff"), "WEBP": (".webp",), "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "JPEG2000": (".jp2", ".j2k", ".jpx"), "AVIF": (".avif",),
}  # fmt: skip
FORMATS = tuple(SUFFIXES)
MAX_PIXELS = 89_478_485  # per image; about 256 MB when decoded
ORIENTATION = 0x0112  # EXIF tag: 1 as stored, 2 to 4 mirrored or upside down, 5 to 8 rotated by 90 degrees
REFUSALS = (errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EMFILE, errno.ENFILE)


@dataclass(frozen=True)
class Header:
    """The properties of an image file that are known without decoding its pixels."""

    size: Size  # as stored
    orientation: int  # 1..8; 1 without an EXIF tag
    mode: str  # Pillow's pixel mode, such as RGB
    format: str  # one of FORMATS

    @property
    def shown_size(self) -> Size:
        """The (height, width) as viewers show the image, turned by its EXIF orientation."""
        return self.size if self.orientation < 5 else (self.size[1], self.size[0])


def read_header(path: Path, max_pixels: int = MAX_PIXELS) -> Header:
    """Read the properties of an image file without decoding its pixels.

    Raises:
        AccessError: the system does not let the file be read.
        ItemError: the file is not an image, has an unknown format or a damaged header, or exceeds `max_pixels`.
    """
    with _opened(path, max_pixels) as image:
        return _header(image)


def read_image(path: Path, size: Size | None = None, max_pixels: int = MAX_PIXELS) -> Pixels:
    """Decode an image file to RGB.

    With `size`, the declared size, `needs_turning` decides whether the EXIF orientation is applied. Without it, the
    orientation is applied, as viewers do. 16-bit gray is divided by 257 whatever its range, so that images of one data
    set stay comparable. Transparent pixels become white. An animation gives its first frame.

    Raises:
        AccessError: the system does not let the file be read.
        ItemError: the file is damaged or too large, cannot be converted to RGB, or differs from the declared size.
    """
    with _opened(path, max_pixels) as image:
        image.load()
        header = _header(image)
        if size is None or needs_turning(header, size):
            image = ImageOps.exif_transpose(image)
        return _rgb(image)


def to_pixels(image: Image.Image) -> Pixels:
    """Convert a Pillow image to RGB as `read_image` does, and apply its EXIF orientation.

    Raises:
        ItemError: the image cannot be decoded, or cannot be converted to RGB.
    """
    try:
        return _rgb(ImageOps.exif_transpose(image))
    except (ItemError, MemoryError):
        raise
    except Exception as error:  # Pillow may read the file only now
        raise ItemError(f"cannot be decoded ({_first_line(error)})") from None


def needs_turning(header: Header, declared: Size) -> bool:
    """Return whether the EXIF orientation must be applied: only the turned image has the declared size.

    If the stored size is the declared one, the boxes were drawn on the stored pixels.

    Raises:
        ItemError: neither the stored nor the turned image has the declared size.
    """
    if header.size == declared:
        return False
    height, width = header.size
    if (width, height) == declared:
        if header.orientation >= 5:
            return True
        advice = "without an EXIF tag that turns it; check whether the annotations were made on a turned copy"
    else:
        advice = "correct width and height, or replace the file by the annotated one"
    raise ItemError(f"is {width} x {height} px, but the annotations declare {declared[1]} x {declared[0]}: {advice}")


@contextmanager
def _opened(path: Path, max_pixels: int) -> Iterator[Image.Image]:
    """Open an image, and raise an ItemError for any exception of a decoder on a damaged file."""
    too_large = ItemError(f"has more than {max_pixels:,} pixels; shrink it or raise max_pixels")
    try:
        with _GLOBALS.allowing(max_pixels), Image.open(path, formats=_formats()) as image:
            if image.width * image.height > max_pixels:
                raise too_large
            yield image
    except (ItemError, MemoryError):
        raise
    except Image.DecompressionBombError:
        raise too_large from None
    except UnidentifiedImageError:
        raise ItemError(f"is not an image of a known format ({', '.join(_formats())})") from None
    except Exception as error:  # decoders raise almost any type on damaged files
        if isinstance(error, OSError) and error.errno in REFUSALS:
            raise AccessError(
                f"cannot be read: {error.strerror or error}; check its permissions and the disk"
            ) from None
        raise ItemError(f"cannot be decoded ({_first_line(error)}); replace the file") from None


class _PillowGlobals:
    """Pillow's pixel limit and Python's warning filters, changed while any thread reads an image.

    Both are global to the process. A thread that restored them for itself would change them under another thread, so
    the last one to finish restores them. The limit only rises meanwhile; each reader checks its own.
    """

    def __init__(self) -> None:
        self.lock, self.readers = threading.Lock(), 0
        self.limit: int | None = None
        self.filters = warnings.catch_warnings()

    @contextmanager
    def allowing(self, max_pixels: int) -> Iterator[None]:
        with self.lock:
            if not self.readers:
                self.limit, self.filters = Image.MAX_IMAGE_PIXELS, warnings.catch_warnings()
                self.filters.__enter__()
                warnings.simplefilter("ignore")  # odd but harmless metadata
            self.readers += 1
            if Image.MAX_IMAGE_PIXELS is not None:
                Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, max_pixels)
        try:
            yield
        finally:
            with self.lock:
                self.readers -= 1
                if not self.readers:
                    self.restore()

    def restore(self) -> None:
        Image.MAX_IMAGE_PIXELS = self.limit
        self.filters.__exit__(None, None, None)

    def after_fork(self) -> None:
        """Forget the threads of the parent process, which a forked child does not have."""
        if self.readers:
            self.restore()
        self.lock, self.readers = threading.Lock(), 0


_GLOBALS = _PillowGlobals()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_GLOBALS.after_fork)


@cache
def _formats() -> tuple[str, ...]:
    """Return the FORMATS that this build of Pillow can read."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _header(image: Image.Image) -> Header:
    return Header((image.height, image.width), _orientation(image), image.mode, image.format or "")


def _orientation(image: Image.Image) -> int:
    if image.format == "TIFF":
        return 1  # Pillow has already applied it, as the format requires
    if image.format == "PNG" and "exif" not in image.info:
        return 1  # getexif would decode the whole file to search for a tag after its pixels
    value = image.getexif().get(ORIENTATION, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _rgb(image: Image.Image) -> Pixels:
    if image.mode in ("I", "I;16", "I;16B", "I;16L", "I;16N"):
        return _from_16_bits(np.asarray(image))
    if image.mode == "F":
        raise ItemError("has floating-point pixels of unknown range; save it with 8 or 16 bits")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.array(image.convert("RGB"))


def _from_16_bits(gray: NDArray[np.generic]) -> Pixels:
    values = gray.astype(np.int64)
    if values.size and not 0 <= values.min() <= values.max() <= 65535:
        raise ItemError("has gray values outside 0 to 65,535; save it with 8 or 16 bits")
    return np.repeat(((values + 128) // 257).astype(np.uint8)[:, :, None], 3, axis=2)


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0][:120]
