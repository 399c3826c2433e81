"""The pixels of a built-in scene."""

from __future__ import annotations

from functools import cache
from random import Random

from PIL import Image, ImageDraw

from anchorloc.data.shape_layout import Figure, figure_mask

RGB = tuple[int, int, int]

MIN_CONTRAST = 60  # out of 255, in at least one channel, between an object and everything behind it
MAX_LINES, MAX_BLOBS = 5, 4


def draw(random: Random, figures: list[Figure], size: int) -> Image.Image:
    """Paint a textured background, clutter that is not annotated, and the figures in their order."""
    ground = _color(random)
    scene = _textured(random, ground, (size, size), contrast=90)
    for _ in range(int(random.random() * (MAX_BLOBS + 1))):
        _paint_blob(random, scene)
    pen = ImageDraw.Draw(scene)
    for _ in range(int(random.random() * (MAX_LINES + 1))):
        ends = [int(random.random() * size) for _ in range(4)]
        pen.line(ends, fill=_color(random), width=1 + int(random.random() * 3))
    for figure in figures:
        color = _visible_color(random, ground, _middle(scene, figure))
        patch = _textured(random, color, (figure.width, figure.height), contrast=40)
        scene.paste(patch, (figure.x, figure.y), figure_mask(figure))
    return scene


def _color(random: Random) -> RGB:
    return int(random.random() * 256), int(random.random() * 256), int(random.random() * 256)


def _visible_color(random: Random, *others: RGB) -> RGB:
    """Draw until the color differs by MIN_CONTRAST from each of `others`."""
    while True:
        color = _color(random)
        if all(max(abs(a - b) for a, b in zip(color, other, strict=True)) >= MIN_CONTRAST for other in others):
            return color


def _middle(scene: Image.Image, figure: Figure) -> RGB:
    """Return the color at the center of a figure, which may lie on a larger figure."""
    x1, y1, x2, y2 = figure.visible
    red, green, blue = scene.getpixel(((x1 + x2) // 2, (y1 + y2) // 2))  # type: ignore[misc]
    return red, green, blue


def _textured(random: Random, color: RGB, size: tuple[int, int], contrast: int) -> Image.Image:
    """Fill (width, height) with low-resolution noise between two colors, at most `contrast` apart, around `color`."""
    away = [(random.random() - 0.5) * contrast for _ in range(3)]
    dark, light = ([round(c + sign * a / 2) for c, a in zip(color, away, strict=True)] for sign in (-1, 1))
    patch = Image.new("RGB", size, _clamp(dark))
    cells = 2 + int(random.random() ** 2 * 40)
    noise = Image.frombytes("L", (cells, cells), random.randbytes(cells * cells))
    patch.paste(_clamp(light), mask=noise.resize(size, Image.Resampling.BICUBIC))
    return patch


def _clamp(color: list[int]) -> RGB:
    red, green, blue = (min(max(value, 0), 255) for value in color)
    return red, green, blue


def _paint_blob(random: Random, scene: Image.Image) -> None:
    """Paint a spot that fades to its rim, so that it has no outline to be taken for an ellipse's."""
    width, height = (8 + int(random.random() * scene.width / 2) for _ in range(2))
    corner = int(random.random() * scene.width - width / 2), int(random.random() * scene.height - height / 2)
    scene.paste(_color(random), corner, _blob().resize((width, height)))


@cache
def _blob() -> Image.Image:
    """Return a mask that falls from 160 of 255 at the center to 0 at its rim."""
    return Image.radial_gradient("L").resize((64, 64)).point(lambda distance: max(0, 160 - distance * 160 // 180))
