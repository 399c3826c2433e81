"""The values of the bands of an image, and how they become RGB: depth, window, choice of bands, alpha."""

from __future__ import annotations

from io import BytesIO
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from anchorloc.data.image_formats import ImageFile, file_bytes
from anchorloc.data.image_settings import DEFAULT_SETTINGS, ImageSettings
from anchorloc.data.tiff_bands import TiffPage
from anchorloc.errors import ItemError
from anchorloc.structures import Pixels

DEPTH: Final = 16  # bits
WHITE: Final = 255
LAID_OUT: Final = {"1": "L", "La": "LA", "RGBa": "RGBA"}  # modes of Pillow, and the modes with their values
HEAD: Final = 1 << 16  # bytes in which the depth of JPEG 2000 and AVIF is found


class NeedsSettingError(ItemError):
    """An image that can be read, but only with another setting, which the message names."""


def rgb_of_pillow(image: Image.Image, bits: int) -> Pixels:
    """Return RGB by the default rules: the whole range of the bits, the first three bands, alpha on white.

    Raises:
        NeedsSettingError: the values need a window.
    """
    if image.mode == "I" or image.mode.startswith("I;16"):
        gray = np.asarray(image)[:, :, None]
        return to_rgb(gray, False, bits, DEFAULT_SETTINGS)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.array(image.convert("RGB"))


def band_values(image: Image.Image | TiffPage, file: ImageFile | None) -> NDArray[Any]:
    """Return the values (H, W, C) of all bands of an open image; palettes and CMYK give RGB, with any alpha.

    Args:
        image: a Pillow image, or a page of the TIFF `file`.
        file: the file, if there is one.

    Raises:
        ItemError: the values are in no file, or Pillow gives only a part of their bits.
    """
    if isinstance(image, TiffPage):
        assert file is not None
        return image.read_values(file_bytes(file))
    if _is_deep_color_png(image):
        if file is None:
            raise ItemError(f"has 16 bits in color, of which Pillow keeps 8 in {image.mode}; give the path of its file")
        return _png_values(file_bytes(file), has_gray=_raw_mode(image).startswith("LA"))
    transparent = image.has_transparency_data
    if image.mode in ("P", "PA", "CMYK", "YCbCr", "LAB", "HSV"):
        image = image.convert("RGBA" if transparent else "RGB")
    elif image.mode in ("1", "L", "RGB") and transparent:  # one value or color is transparent
        image = image.convert("RGBA" if image.mode == "RGB" else "LA")
    elif image.mode in LAID_OUT:
        image = image.convert(LAID_OUT[image.mode])
    values = np.asarray(image)
    return values[:, :, None] if values.ndim == 2 else values


def bands_of(image: Image.Image) -> tuple[int, bool]:
    """Return how many bands `band_values` gives, and whether the last one is alpha."""
    own = image.mode.endswith(("A", "a"))
    alpha = own or (image.has_transparency_data and bits_of(image) <= 8)
    if _raw_mode(image).startswith("LA;16"):  # Pillow reads it as RGBA
        return 2, True
    colors = 3 if image.mode in ("P", "PA", "CMYK") else len(image.getbands()) - own
    return colors + alpha, alpha


def to_rgb(values: NDArray[Any], has_alpha: bool, bits: int, settings: ImageSettings) -> Pixels:
    """Return RGB from the values (H, W, C) of all bands.

    Raises:
        NeedsSettingError: the values need a window.
    """
    chosen = choose_bands(values, has_alpha, settings)
    pixels = to_bytes(chosen, bits, settings)
    pixels = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else np.ascontiguousarray(pixels)
    if has_alpha and settings.bands is None:
        alpha = opacity(values, bits)
        pixels = np.rint(WHITE - alpha * (WHITE - pixels.astype(np.float32))).astype(np.uint8)
    return pixels


def choose_bands(values: NDArray[Any], has_alpha: bool, settings: ImageSettings) -> NDArray[Any]:
    """Return the bands (H, W, 1 or 3) that are read as gray or as red, green and blue."""
    return values[:, :, chosen_bands(values.shape[2], has_alpha, settings)]


def chosen_bands(bands: int, has_alpha: bool, settings: ImageSettings) -> list[int]:
    """Return the places, from 0, of the bands to read in a file of that many; a gray image stays gray."""
    is_gray = bands - has_alpha == 1
    if settings.bands is None or (is_gray and len(settings.bands) == 3):
        return [0, 1, 2] if bands - has_alpha >= 3 else [0]
    return [band - 1 for band in settings.bands]


def opacity(values: NDArray[Any], bits: int) -> NDArray[np.float32]:
    """Return the alpha (H, W, 1), the last band, from 0 to 1."""
    return values[:, :, -1:].astype(np.float32) / np.float32(_greatest(values, bits))


def to_bytes(values: NDArray[Any], bits: int, settings: ImageSettings) -> NDArray[np.uint8]:
    """Return values (H, W, C) as gray levels: black and white are the window, or the range of the bits.

    Raises:
        NeedsSettingError: there is no window, and the values are not all within the range of the bits.
    """
    if values.dtype == np.uint8:
        return values
    if settings.window is None:
        _refuse_out_of_range(values, bits)
        if values.shape[2] == 3:
            return (values >> (min(bits, DEPTH) - 8)).astype(np.uint8)  # the high byte, as Pillow reads color
    low, high = settings.window or (0, _greatest(values, bits))
    if values.dtype == np.uint16:
        table = _scaled(np.arange(1 << DEPTH), low, high)
        return np.take(table, values)
    return _scaled(values, low, high)


def bits_of(image: Image.Image) -> int:
    """Return the bits of a value of an opened file, which Pillow's mode often does not say."""
    if image.format in ("JPEG2000", "AVIF") and image.mode not in ("I;16",):
        return _bits_in_head(image)
    if ";16" in _raw_mode(image):
        return 16
    if image.mode.startswith("I;16"):
        depth = image.tag_v2.get(258, (16,)) if image.format == "TIFF" else (16,)  # type: ignore[attr-defined]
        return int(depth[0] if isinstance(depth, tuple) else depth)
    if image.mode == "I":
        return 16 if image.format == "PPM" else 32
    return 32 if image.mode == "F" else 8


def _greatest(values: NDArray[Any], bits: int) -> int:
    """Return the value of white: the greatest of the bits. 32 bits often hold 16; more than that needs a window."""
    return WHITE if values.dtype == np.uint8 else (1 << min(bits, DEPTH)) - 1


def _refuse_out_of_range(values: NDArray[Any], bits: int) -> None:
    low, high = (values.min().item(), values.max().item()) if values.size else (0, 0)
    white = _greatest(values, bits)
    if not 0 <= low <= high <= white:
        raise NeedsSettingError(
            f"has gray values from {low:,} to {high:,}, outside 0 to {white:,}; set data.window=[LOW,HIGH], the values "
            "of black and white"
        )


def _scaled(values: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """Return the nearest of 256 gray levels; NaN is black."""
    scaled = values.astype(np.float64)  # changed in place, since an image may take gigabytes
    scaled -= low
    scaled *= WHITE
    scaled /= high - low
    np.nan_to_num(scaled, copy=False, nan=0.0)
    np.clip(scaled, 0, WHITE, out=scaled)
    scaled += 0.5
    return scaled.astype(np.uint8)


def _raw_mode(image: Image.Image) -> str:
    """Return how the pixels are stored in a file that is not decoded yet, in Pillow's words."""
    tile = getattr(image, "tile", None)
    args = tile[0][3] if tile else ""
    return args if isinstance(args, str) else str(args[0]) if args and isinstance(args[0], str) else ""


def _is_deep_color_png(image: Image.Image) -> bool:
    return image.format == "PNG" and image.mode in ("RGB", "RGBA") and ";16" in _raw_mode(image)


def _png_values(content: bytes, has_gray: bool) -> NDArray[np.uint16]:
    """Return the values (H, W, C) of a PNG of 16 bits in color or with alpha: Pillow unpacks a byte of each at a time.

    Args:
        content: the bytes of the file.
        has_gray: its bands are gray and alpha.
    """
    # gray and alpha are four bytes, as RGBA is; color is unpacked twice, into high and into low bytes
    raw_modes = ("RGBA",) if has_gray else ("{};16B", "{};16L")
    read = []
    for raw_mode in raw_modes:
        with Image.open(BytesIO(content), formats=["PNG"]) as image:
            assert isinstance(image, PngImageFile)
            [tile] = image.tile
            image.tile = [tile._replace(args=raw_mode.format(image.mode))]
            read.append(np.asarray(image).astype(np.uint16))
    high, low = (read[0][:, :, ::2], read[0][:, :, 1::2]) if has_gray else read
    values: NDArray[np.uint16] = high << np.uint16(8) | low
    return values


def _bits_in_head(image: Image.Image) -> int:
    """Return the bits that a JPEG 2000 or AVIF file declares, 8 if they are not found."""
    file = getattr(image, "fp", None)
    if file is None:
        return 8
    place = file.tell()
    file.seek(0)
    head = file.read(HEAD)
    file.seek(place)
    mark, offset = (b"\xff\x4f\xff\x51", 42) if image.format == "JPEG2000" else (b"pixi", 9)
    at = head.find(mark)
    if at < 0 or at + offset >= len(head):
        return 8
    depth: int = head[at + offset] & 0x7F
    return depth + (image.format == "JPEG2000")
