"""Where the objects of a built-in scene lie, and their outlines."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from random import Random

from PIL import Image, ImageDraw

NAMES = ("ellipse", "rectangle", "triangle", "cross")
MAX_FIGURES = 8
MIN_SIDE, MAX_SIDE = 10, 100  # sqrt(area) of a box in pixels, log-uniform between them
MAX_SIDE_FRACTION = 0.625  # fraction of the side of a scene; bounds sqrt(area) where scenes are small
MAX_HEIGHT_TO_WIDTH = 3  # and its inverse, log-uniform between them
MAX_IOU = 0.3
OVERSAMPLING = 2  # factor for outlines, to soften their edges

IntBox = tuple[int, int, int, int]


@dataclass(frozen=True)
class Figure:
    """One object: its whole box, which may leave the scene, its form, and the part of the box that can be seen."""

    label: int
    x: int
    y: int
    width: int
    height: int
    direction: int  # 0..3: where a triangle points
    form: float  # 0..1: how far along its edge the apex of a triangle lies, or how thick the arms of a cross are
    visible: IntBox  # x1, y1, x2, y2: spans the drawn pixels inside the scene, tightly


def figure_mask(figure: Figure) -> Image.Image:
    """Return the 8-bit mask of a whole figure, (height, width) pixels; its non-zero pixels span its box."""
    width, height = figure.width * OVERSAMPLING, figure.height * OVERSAMPLING
    mask = Image.new("L", (width, height))
    pen = ImageDraw.Draw(mask)
    right, bottom = width - 1, height - 1
    name = NAMES[figure.label]
    if name == "ellipse":
        pen.ellipse((0, 0, right, bottom), fill=255)
    elif name == "rectangle":
        pen.rectangle((0, 0, right, bottom), fill=255)
    elif name == "triangle":
        pen.polygon(_triangle(figure.direction, 0.2 + 0.6 * figure.form, right, bottom), fill=255)
    else:
        margin = 0.29 + 0.1 * figure.form  # on either side of an arm
        column, row = round(width * margin), round(height * margin)
        pen.rectangle((column, 0, right - column, bottom), fill=255)
        pen.rectangle((0, row, right, bottom - row), fill=255)
    return mask.reduce(OVERSAMPLING)


def _triangle(direction: int, apex: float, right: int, bottom: int) -> list[tuple[int, int]]:
    across, down = round(apex * right), round(apex * bottom)
    return [
        [(across, 0), (0, bottom), (right, bottom)],
        [(across, bottom), (0, 0), (right, 0)],
        [(0, down), (right, 0), (right, bottom)],
        [(right, down), (0, 0), (0, bottom)],
    ][direction]


def lay_out(random: Random, size: int) -> list[Figure]:
    """Draw 1 to 8 figures for a scene of `size` x `size` pixels, largest first, which is the order to paint them in.

    Only `random.random()` is used, whose sequence is the same in every version of Python. A figure that finds no
    place among the larger ones is left out; going from large to small keeps the sizes log-uniform all the same.
    """
    count = 1 + int(random.random() * MAX_FIGURES)
    boxes = sorted((_box_size(random, size) for _ in range(count)), key=lambda box: -box[0] * box[1])
    figures: list[Figure] = []
    for width, height in boxes:
        label, direction = int(random.random() * len(NAMES)), int(random.random() * 4)
        form = random.random()
        for _ in range(20):
            x, y = _start(random, width, size), _start(random, height, size)
            visible = (max(x, 0), max(y, 0), min(x + width, size), min(y + height, size))
            figure = Figure(label, x, y, width, height, direction, form, visible)
            if visible != (x, y, x + width, y + height):
                figure = _cut(figure)
            if _is_annotatable(figure.visible) and _is_apart(figure, figures):
                figures.append(figure)
                break
    return figures


def _box_size(random: Random, size: int) -> tuple[int, int]:
    """Draw (width, height) in whole pixels within the limits."""
    largest = min(MAX_SIDE, MAX_SIDE_FRACTION * size)
    while True:
        side = MIN_SIDE * (largest / MIN_SIDE) ** random.random()
        root = math.sqrt(MAX_HEIGHT_TO_WIDTH ** (2 * random.random() - 1))
        width, height = round(side / root), round(side * root)
        if _is_annotatable((0, 0, width, height)) and width * height <= largest**2:
            return width, height


def _start(random: Random, length: int, size: int) -> int:
    """Draw the first pixel of an edge so that at most a quarter of it is out of the scene (more if it cannot fit)."""
    low, high = sorted((0, size - length))
    low, high = low - length // 4, high + length // 4
    return low + int(random.random() * (high - low + 1))


def _cut(figure: Figure) -> Figure:
    """Replace the visible box by the tight one: what a border leaves of a triangle is smaller than the clipped box."""
    x1, y1, x2, y2 = figure.visible
    part = figure_mask(figure).crop((x1 - figure.x, y1 - figure.y, x2 - figure.x, y2 - figure.y)).getbbox()
    left, top, right, bottom = part or (0, 0, 0, 0)
    return replace(figure, visible=(x1 + left, y1 + top, x1 + right, y1 + bottom))


def _is_annotatable(box: IntBox) -> bool:
    """Whether an object keeps the promised size and proportions, also where the border cuts it."""
    width, height = box[2] - box[0], box[3] - box[1]
    fits = height <= MAX_HEIGHT_TO_WIDTH * width and width <= MAX_HEIGHT_TO_WIDTH * height
    return fits and width * height >= MIN_SIDE**2


def _is_apart(figure: Figure, others: list[Figure]) -> bool:
    return all(intersection_over_union(figure.visible, other.visible) <= MAX_IOU for other in others)


def intersection_over_union(a: IntBox, b: IntBox) -> float:
    """Return the IoU of two boxes; one pair at a time, Python's own numbers are the fastest."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def lay_out_one(random: Random, size: int, spread: float) -> list[Figure]:
    """Draw one whole figure for a scene; `spread` from 0 to 1 is how far positions, sizes and proportions vary.

    At 0 every box is the same square in the middle of the scene; at 1 it lies anywhere, its size and proportions
    within the limits of all scenes.
    """
    label, direction, form = int(random.random() * len(NAMES)), int(random.random() * 4), random.random()
    largest = min(MAX_SIDE, MAX_SIDE_FRACTION * size)
    side = math.sqrt(MIN_SIDE * largest) * (largest / MIN_SIDE) ** (spread * (random.random() - 0.5))
    root = math.sqrt(MAX_HEIGHT_TO_WIDTH ** (spread * (2 * random.random() - 1)))
    width, height = (min(size, max(1, round(length))) for length in (side / root, side * root))
    x, y = (round((size - length) * (0.5 + spread * (random.random() - 0.5))) for length in (width, height))
    return [Figure(label, x, y, width, height, direction, form, (x, y, x + width, y + height))]
