"""Read image files as RGB pixels."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Final

from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from anchorloc.data.band_values import (
    NeedsSettingError,
    band_values,
    bands_of,
    bits_of,
    chosen_bands,
    rgb_of_pillow,
    to_rgb,
)
from anchorloc.data.cut_off_jpeg import loaded
from anchorloc.data.image_formats import FORMATS, ImageFile, refuse_foreign
from anchorloc.data.image_settings import DEFAULT_SETTINGS, MAX_PIXELS, ImageSettings
from anchorloc.data.pillow_globals import allowing
from anchorloc.data.tiff_bands import TiffPage, read_page, turned
from anchorloc.errors import AccessError, ItemError
from anchorloc.structures import Pixels, Size
from anchorloc.text import counted

REFUSALS: Final = (errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EMFILE, errno.ENFILE)
ORIENTATION: Final = 0x0112  # EXIF tag: 1 as stored, 2 to 4 mirrored or upside down, 5 to 8 rotated by 90 degrees


@dataclass(frozen=True)
class Header:
    """The properties of an image file that are known without decoding its pixels."""

    size: Size  # as stored
    orientation: int  # 1..8; 1 without an EXIF tag
    mode: str  # Pillow's pixel mode, such as RGB; "" for bands that Pillow does not read
    format: str  # one of FORMATS, or MPO
    bits: int = 8  # bits of a value, as the file says
    bands: int = 3  # bands in the file; a palette counts as its colors
    has_alpha: bool = False
    is_float: bool = False
    pages: int = 1

    @property
    def shown_size(self) -> Size:
        """The (height, width) as viewers show the image, turned by its orientation."""
        height, width = self.size
        return (width, height) if self.orientation >= 5 else (height, width)

    @property
    def unused_bands(self) -> int:
        """The bands that are neither red, green, blue nor alpha, and are not read unless `bands` names them."""
        colors = self.bands - self.has_alpha
        return colors - (3 if colors >= 3 else 1)

    @property
    def kind(self) -> str:
        """What the pixels are, in words: Pillow's mode, or the depth and the bands of the file."""
        if self.unused_bands:
            return f"{self.bands} bands of {self.bits} bits"
        if self.is_float:
            return f"{self.bits}-bit floating point"
        if self.bits > 8:
            return f"{self.bits}-bit {'color' if self.bands >= 3 else 'gray'}{' with alpha' if self.has_alpha else ''}"
        return self.mode


@dataclass(frozen=True)
class OpenedImage:
    """An image whose pixels are not decoded yet: as Pillow reads it, or a TIFF of which Pillow would drop something."""

    image: Image.Image | None  # None: only `page` gives all bits and bands
    page: TiffPage | None = None  # the first page, if the file is a TIFF
    file: ImageFile | None = None

    @cached_property
    def header(self) -> Header:  # Pillow forgets how the file stores its pixels once it has decoded them
        image, page = self.image, self.page
        if image is None:
            assert page is not None
            kind = (page.bits, page.bands, page.has_alpha, page.is_float)
            return Header(page.size, 1, "", "TIFF", *kind, page.pages)
        bands, alpha = bands_of(image)
        return Header(
            size=(image.height, image.width),
            orientation=_orientation(image),
            mode=image.mode,
            format=image.format or "",
            bits=bits_of(image),
            bands=bands,
            has_alpha=alpha,
            is_float=image.mode == "F",
            pages=_pages(image) if page is None else page.pages,
        )

    @cached_property
    def values(self) -> NDArray[Any]:
        """The values (H, W, C) of all bands, as `band_values` gives them; asked for before the pixels."""
        image = self._decoded if self.image is not None and self.image.format == "JPEG" else self.image or self.page
        assert image is not None
        return band_values(image, self.file)

    @cached_property
    def _decoded(self) -> Image.Image:
        assert self.image is not None
        return loaded(self.image, self.file)

    @property
    def cut_off(self) -> bool:
        """Whether a JPEG lacks its end, and is read without its last rows."""
        return self.image is not None and self.image.format == "JPEG" and self._decoded is not self.image

    def rgb(self, declared: Size | None, settings: ImageSettings) -> Pixels:
        """Return RGB pixels, as `read_image` does."""
        header = self.header
        turns = needs_turning(header, declared, settings.orientation)
        refuse_unreadable(header, settings)
        if self.image is None or settings.bands or (settings.window and header.bits > 8):
            pixels = to_rgb(self.values, header.has_alpha, header.bits, settings)
        else:
            pixels = rgb_of_pillow(self._decoded, header.bits)
        return turned(pixels, header.orientation) if turns else pixels


def read_header(path: Path, max_pixels: int = MAX_PIXELS) -> Header:
    """Read the properties of an image file without decoding its pixels.

    Raises:
        AccessError: the system does not let the file be read.
        ItemError: the file is not an image, has an unknown format or a damaged header, or exceeds `max_pixels`.
    """
    with open_image(path, max_pixels) as opened:
        return opened.header


def read_image(file: ImageFile, declared: Size | None = None, settings: ImageSettings = DEFAULT_SETTINGS) -> Pixels:
    """Decode an image file to RGB, by the rules of docs/images.md.

    Args:
        file: the path of the file, or its bytes.
        declared: the (height, width) that the annotations declare, if there are any.
        settings: how bits, bands and the EXIF orientation are read.

    Raises:
        AccessError: the system does not let the file be read.
        ItemError: the file is damaged or too large, needs a setting to become RGB, or differs from the declared size.
    """
    with open_image(file, settings.max_pixels) as opened:
        return opened.rgb(declared, settings)


def to_pixels(image: Image.Image, settings: ImageSettings = DEFAULT_SETTINGS) -> Pixels:
    """Convert a Pillow image to RGB as `read_image` does.

    Raises:
        ItemError: the image cannot be decoded, or cannot be converted to RGB.
    """
    try:
        return OpenedImage(image).rgb(None, settings)
    except (ItemError, MemoryError):
        raise
    except Exception as error:  # Pillow may read the file only now
        raise ItemError(f"cannot be decoded ({_first_line(error)})") from None


def needs_turning(header: Header, declared: Size | None, orientation: str = "auto") -> bool:
    """Return whether the EXIF orientation is applied.

    With "auto" it is, as in viewers, unless the stored size is the declared one and the turned size is not: then the
    boxes were drawn on the stored pixels.

    Raises:
        ItemError: the image does not have the declared size.
    """
    stored, shown = header.size, header.shown_size
    turns = orientation == "apply" or (orientation == "auto" and (declared != stored or stored == shown))
    size = shown if turns else stored
    if declared is None or declared == size:
        return turns and header.orientation != 1
    if orientation != "auto" and declared in (stored, shown):
        done = "turned" if turns else "not turned"
        advice = f"it is {done} by its EXIF orientation, as data.orientation={orientation} says; correct the size"
    elif declared == (stored[1], stored[0]):
        advice = "without an EXIF tag that turns it; check whether the annotations were made on a turned copy"
    else:
        size, advice = stored, "correct width and height, or replace the file by the annotated one"
    raise ItemError(f"is {size[1]} x {size[0]} px, but the annotations declare {declared[1]} x {declared[0]}: {advice}")


def refuse_unreadable(header: Header, settings: ImageSettings) -> None:
    """Refuse an image whose pixels cannot become RGB by these settings.

    Raises:
        NeedsSettingError: naming the setting that is missing or does not fit.
    """
    if header.is_float and settings.window is None:
        raise NeedsSettingError(
            "has floating-point pixels of unknown range; set data.window=[LOW,HIGH], the values of black and white"
        )
    if max(chosen_bands(header.bands, header.has_alpha, settings)) >= header.bands:
        raise NeedsSettingError(
            f"has {counted(header.bands, 'band')}, but data.bands={list(settings.bands or ())}; set bands that it has"
        )
    if settings.window is not None and header.bits > 8 and header.format in ("JPEG2000", "AVIF") and header.bands > 1:
        raise NeedsSettingError(
            f"has {header.bits} bits in color, to which data.window cannot apply; save it as PNG or TIFF"
        )


@contextmanager
def open_image(file: ImageFile, max_pixels: int) -> Iterator[OpenedImage]:
    """Open an image file; whatever a decoder raises on a damaged file becomes an ItemError.

    Raises:
        ItemError: as `read_header`, and in the body of the `with` statement for any exception but a MemoryError.
    """
    try:
        content: BinaryIO = BytesIO(file) if isinstance(file, bytes) else file.open("rb")
        with content, allowing(max_pixels):
            refuse_foreign(content, None if isinstance(file, bytes) else file)
            page = read_page(content)
            if page is not None and page.needs_values:
                _refuse_large(page.size[0] * page.size[1], max_pixels)
                yield OpenedImage(None, page, file)
                return
            content.seek(0)
            with Image.open(content, formats=_formats()) as image:
                _refuse_large(image.width * image.height, max_pixels)
                yield OpenedImage(image, page, file)
    except (ItemError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        number = re.search(r"\d+", str(error))
        _refuse_large(int(number[0]) if number else 2 * max_pixels, max_pixels)
    except UnidentifiedImageError:
        raise ItemError(f"is not an image of a known format ({', '.join(_formats())})") from None
    except Exception as error:  # decoders raise almost any type on damaged files
        if isinstance(error, OSError) and error.errno in REFUSALS:
            raise AccessError(
                f"cannot be read: {error.strerror or error}; check its permissions and the disk"
            ) from None
        raise ItemError(f"cannot be decoded ({_first_line(error)}); replace the file") from None


def _refuse_large(number: int, max_pixels: int) -> None:
    if number > max_pixels:
        raise NeedsSettingError(
            f"has more than {max_pixels:,} pixels; set data.max_pixels={number}, or shrink it"
        ) from None


@cache
def _formats() -> tuple[str, ...]:
    """Return the FORMATS that this build of Pillow can read."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _orientation(image: Image.Image) -> int:
    if image.format == "TIFF":
        return 1  # Pillow has already applied it, as the format requires
    if image.format == "PNG" and "exif" not in image.info:
        return 1  # getexif would decode the whole file to search for a tag after its pixels
    value = image.getexif().get(ORIENTATION, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _pages(image: Image.Image) -> int:
    """Return the pages or frames of a file; the second picture of an MPO is a preview."""
    return 1 if image.format == "MPO" else int(getattr(image, "n_frames", 1))


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0][:120]
