"""Boxes and labels drawn on the pixels of a picture, in one palette."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import ImageDraw, ImageFont

from anchorloc.text import shorten

# After the palette of Okabe and Ito (2008) for color-blind readers, but brighter: for photographs and black text.
PALETTE = ("#e69f00", "#56b4e9", "#2fd39a", "#f0e442", "#cc79a7", "#4d8dff", "#ff8c42", "#b6e880")
BLACK = "#000000"
MISSING = "\U0010ffff"  # a character that no font has
PADDING = 2  # pixels around the text of a label

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def palette_color(number: int) -> str:
    """Return the color of the n-th class or box; the palette repeats."""
    return PALETTE[number % len(PALETTE)]


def load_font(size: int) -> Font:
    """Return the font of all pictures; `size` is in pixels."""
    return ImageFont.load_default(size)


def draw_box(canvas: ImageDraw.ImageDraw, box: Sequence[float], color: str, width: int) -> None:
    """Draw the outline of a box (4,) xyxy between two black lines, which set it off from any background."""
    x1, y1, x2, y2 = box
    for grown, stroke, line in ((1, width + 2, BLACK), (0, width, color)):
        canvas.rectangle(pixel_bounds((x1 - grown, y1 - grown, x2 + grown, y2 + grown)), outline=line, width=stroke)


def pixel_bounds(box: Sequence[float]) -> tuple[float, float, float, float]:
    """Return the first and the last pixel of a box (4,) xyxy; a box without width or height is a line."""
    x1, y1, x2, y2 = box
    return x1, y1, max(x1, x2 - 1), max(y1, y2 - 1)


def draw_label(
    canvas: ImageDraw.ImageDraw,
    text: str,
    corner: Sequence[float],
    size: tuple[int, int],
    color: str,
    font: Font,
) -> None:
    """Write a label above the top left corner of a box, or in the box at the upper edge of the picture.

    Args:
        corner: x and y.
        size: width and height of the picture; the label stays in it.
    """
    left, top, right, bottom = canvas.textbbox((0, 0), text, font=font)
    width, height = right - left + 2 * PADDING, bottom - top + 2 * PADDING
    x = max(0.0, min(corner[0], size[0] - width))
    y = corner[1] - height if corner[1] >= height else max(0.0, corner[1])
    canvas.rectangle((x, y, x + width, y + height), fill=color)
    canvas.text((x + PADDING - left, y + PADDING - top), text, fill=BLACK, font=font)


def writable_name(name: str, label: int, font: Font, longest: int = 24) -> str:
    """Return the start of a class name, or "class LABEL" if the font lacks one of its characters."""
    short = shorten(name, longest)
    missing = _glyph(MISSING, font)
    return short if all(_glyph(character, font) != missing for character in short) else f"class {label}"


def _glyph(character: str, font: Font) -> bytes:
    return bytes(np.asarray(font.getmask(character)))
