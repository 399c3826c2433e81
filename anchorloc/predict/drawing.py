"""An image with the boxes that were found, as pixels."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from anchorloc.predict.image_input import Pixels
from anchorloc.predict.localizer import NamedDetections

# Okabe and Ito's colors, which people with any color vision tell apart, each with the text color that it carries.
COLORS = (
    ("#e69f00", "black"), ("#56b4e9", "black"), ("#009e73", "white"), ("#f0e442", "black"),
    ("#0072b2", "white"), ("#d55e00", "white"), ("#cc79a7", "black"),
)  # fmt: skip
MISSING = "\U0010ffff"  # no font has it


def draw(image: Pixels, found: NamedDetections, quality: int = 90) -> bytes:
    """Return a JPEG of `image` (H, W, 3) with a box, a class and a score for each detection, the surest on top."""
    picture = Image.fromarray(image)
    canvas = ImageDraw.Draw(picture)
    width = max(1, round(max(picture.size) / 400))
    font = ImageFont.load_default(max(10, round(max(picture.size) / 55)))
    for row in reversed(range(len(found))):
        label = int(found.labels[row])
        color, ink = COLORS[label % len(COLORS)]
        x1, y1, x2, y2 = found.boxes[row].tolist()
        # Between two dark lines a color is seen on any ground.
        for inset, stroke, line in ((-1, width + 2, "black"), (0, width, color)):
            canvas.rectangle(_ordered(x1 + inset, y1 + inset, x2 - inset, y2 - inset), outline=line, width=stroke)
        text = f"{_shown(found.names[row], label, font)} {found.scores[row]:.2f}"
        _write(canvas, text, (x1, y1), picture.size, (color, ink), font)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality, subsampling=0)
    return file.getvalue()


Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def _ordered(x1: float, y1: float, x2: float, y2: float) -> tuple[float, float, float, float]:
    """Pillow refuses a rectangle that ends before it begins."""
    return x1, y1, max(x1, x2), max(y1, y2)


def _write(
    canvas: ImageDraw.ImageDraw,
    text: str,
    corner: tuple[float, float],
    size: tuple[int, int],
    colors: tuple[str, str],
    font: Font,
) -> None:
    """Put a label above the corner of a box, or inside where the image ends; `size` is its (width, height)."""
    left, top, right, bottom = canvas.textbbox((0, 0), text, font=font)
    width, height = right - left + 4, bottom - top + 4
    x = max(0.0, min(corner[0], size[0] - width))
    y = corner[1] - height if corner[1] >= height else corner[1]
    canvas.rectangle((x, y, x + width, y + height), fill=colors[0])
    canvas.text((x + 2 - left, y + 2 - top), text, fill=colors[1], font=font)


def _shown(name: str, label: int, font: Font) -> str:
    """Return the name as the font can write it: its first 24 characters, or the number of the class."""
    short = name if len(name) <= 24 else name[:23] + "…"
    missing = _glyph(MISSING, font)
    return short if all(not c.isprintable() or _glyph(c, font) != missing for c in short) else f"class {label}"


def _glyph(character: str, font: Font) -> bytes:
    return bytes(np.asarray(font.getmask(character)))
