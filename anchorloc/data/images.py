"""Image files to RGB pixels."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from anchorloc.data.item_error import ItemError

# Pillow reads more, but some of its readers start other programs (EPS) or have no use here.
SUFFIXES = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"), "PNG": (".png",), "GIF": (".gif",), "BMP": (".bmp", ".dib"),
    "TIFF": (".tif", ".tiff"), "WEBP": (".webp",), "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "JPEG2000": (".jp2", ".j2k", ".jpx"), "AVIF": (".avif",),
}  # fmt: skip
FORMATS = tuple(SUFFIXES)
MAX_PIXELS = 89_478_485  # of one image; decoded, some 256 MB
ORIENTATION = 0x0112  # EXIF: 1 as stored, 2 to 4 mirrored or upside down, 5 to 8 turned by a quarter


@dataclass(frozen=True)
class Header:
    """What a file says of its image without decoding it."""

    size: tuple[int, int]  # (height, width) as stored
    orientation: int  # 1..8, 1 where it tells none
    mode: str  # Pillow's name of the kind of its pixels, such as RGB
    format: str  # one of FORMATS


def read_header(path: Path, max_pixels: int = MAX_PIXELS) -> Header:
    """Open an image without decoding its pixels.

    Raises:
        ItemError: it is no image, damaged at its start, of an unknown format or larger than `max_pixels`.
    """
    with _opened(path, max_pixels) as image:
        return _header(image)


def read_image(path: Path, size: tuple[int, int] | None = None, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Decode an image file to (H, W, 3) RGB.

    The EXIF orientation follows `size`, the (height, width) that the annotations declare (see `needs_turning`); with
    no size it is applied, as viewers do. 16-bit gray is divided by 257, whatever the range in use, so that images of
    one set stay comparable; transparent pixels are laid over white; of an animation the first frame is taken.

    Raises:
        ItemError: the file is damaged, too large, of a kind that has no plain RGB, or of another size than declared.
    """
    with _opened(path, max_pixels) as image:
        image.load()
        header = _header(image)
        if size is None or needs_turning(header, size):
            image = ImageOps.exif_transpose(image)
        return _rgb(image)


def to_pixels(image: Image.Image) -> NDArray[np.uint8]:
    """Turn an image that Pillow has open into (H, W, 3) RGB as `read_image` does, its EXIF orientation applied.

    Raises:
        ItemError: its file is damaged, or it has no plain RGB.
    """
    try:
        return _rgb(ImageOps.exif_transpose(image))
    except (ItemError, MemoryError):
        raise
    except Exception as error:  # the file behind it may be read only now
        raise ItemError(f"cannot be decoded ({_first_line(error)})") from None


def needs_turning(header: Header, declared: tuple[int, int]) -> bool:
    """Tell whether the EXIF orientation is to be applied: when only the turned image has the declared size.

    An image whose stored size is the declared one is left as stored: boxes were drawn on stored pixels then.

    Raises:
        ItemError: the image has the declared size in neither way.
    """
    if header.size == declared:
        return False
    height, width = header.size
    if (width, height) == declared:
        if header.orientation >= 5:
            return True
        advice = "with no EXIF tag to turn it by; the annotations may have been made on a turned copy"
    else:
        advice = "correct width and height, or put the annotated file there"
    raise ItemError(f"is {width} x {height} px, but the annotations declare {declared[1]} x {declared[0]}: {advice}")


@contextmanager
def _opened(path: Path, max_pixels: int) -> Iterator[Image.Image]:
    """Open an image, and turn whatever a decoder raises on a damaged file into an ItemError."""
    pillow_limit = Image.MAX_IMAGE_PIXELS
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd but harmless metadata
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            Image.MAX_IMAGE_PIXELS = max_pixels
            with Image.open(path, formats=_formats()) as image:
                yield image
    except (ItemError, MemoryError):
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise ItemError(f"has more than {max_pixels:,} pixels; shrink it or raise max_pixels") from None
    except UnidentifiedImageError:
        raise ItemError(f"is not an image of a known format ({', '.join(_formats())})") from None
    except Exception as error:  # decoders raise nearly every type on damaged files
        raise ItemError(f"cannot be decoded ({_first_line(error)}); replace the file") from None
    finally:
        Image.MAX_IMAGE_PIXELS = pillow_limit


@cache
def _formats() -> tuple[str, ...]:
    """Return those of FORMATS that this build of Pillow can read."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _header(image: Image.Image) -> Header:
    return Header((image.height, image.width), _orientation(image), image.mode, image.format or "")


def _orientation(image: Image.Image) -> int:
    if image.format == "TIFF":
        return 1  # part of the format there: every reader has applied it before anyone asks for the size
    if image.format == "PNG" and "exif" not in image.info:
        return 1  # asking would decode the whole file, in search of a tag after its pixels
    value = image.getexif().get(ORIENTATION, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _rgb(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode in ("I", "I;16", "I;16B", "I;16L", "I;16N"):
        return _from_16_bits(np.asarray(image))
    if image.mode == "F":
        raise ItemError("has floating-point pixels, whose range nobody knows; save it with 8 or 16 bits")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.array(image.convert("RGB"))


def _from_16_bits(gray: NDArray[np.generic]) -> NDArray[np.uint8]:
    values = gray.astype(np.int64)
    if values.size and not 0 <= values.min() <= values.max() <= 65535:
        raise ItemError("has gray values beyond 16 bits; save it with 8 or 16 bits")
    return np.repeat(((values + 128) // 257).astype(np.uint8)[:, :, None], 3, axis=2)


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0][:120]
