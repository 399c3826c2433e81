"""Draw training pictures on one sheet, with their boxes and the positive anchors of each box."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from anchorloc.lab.network_views import TrainingPicture
from anchorloc.report.drawing import draw_box, draw_label, load_font, palette_color, pixel_bounds, writable_name
from anchorloc.structures import Category
from anchorloc.text import counted, shorten

CELL = 400  # px: the longer side of a picture
GAP, LINE, HEAD = 12, 17, 30
MAX_COLUMNS = 4
UNASSIGNED, CROWD, INK, PAPER = "#ff2d2d", "#b0b0b0", "#202020", "#ffffff"


def draw_sheet(pictures: Sequence[TrainingPicture], categories: Sequence[Category]) -> bytes:
    """Return a PNG: each box as thick lines of one color, its positive anchors as thin lines of the same color.

    A box without a positive anchor is red, and a crowd is gray.
    """
    columns = min(MAX_COLUMNS, len(pictures))
    rows = math.ceil(len(pictures) / columns)
    cells = [_cell(one, categories) for one in pictures]
    tall = [max(cell.height for cell in cells[row * columns : (row + 1) * columns]) for row in range(rows)]
    sheet = Image.new("RGB", (columns * (CELL + GAP) + GAP, HEAD + sum(tall) + (rows + 1) * GAP), PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text(
        (GAP, 9),
        "thick: boxes; thin, same color: their positive anchors; red: no anchor; gray: crowd",
        INK,
        load_font(14),
    )
    for place, cell in enumerate(cells):
        row, column = divmod(place, columns)
        sheet.paste(cell, (GAP + column * (CELL + GAP), HEAD + GAP + sum(tall[:row]) + row * GAP))
    file = io.BytesIO()
    sheet.save(file, "PNG")
    return file.getvalue()


def _cell(one: TrainingPicture, categories: Sequence[Category]) -> Image.Image:
    """Draw one picture with two lines of text below."""
    pixels = one.sample.image
    height, width = pixels.shape[:2]
    factor = CELL / max(height, width)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    picture = Image.fromarray(pixels.astype(np.uint8)).resize(size, Image.Resampling.BILINEAR)
    _draw_boxes(picture, one, factor, categories)
    cell = Image.new("RGB", (CELL, size[1] + 2 * LINE + 4), PAPER)
    cell.paste(picture)
    pen = ImageDraw.Draw(cell)
    for line, text in enumerate(_caption(one)):
        pen.text((0, size[1] + 4 + line * LINE), text, INK, load_font(13))
    return cell


def _draw_boxes(picture: Image.Image, one: TrainingPicture, factor: float, categories: Sequence[Category]) -> None:
    target, assignment = one.sample.target, one.assignment
    pen, font = ImageDraw.Draw(picture, "RGBA"), load_font(12)
    for anchor, row in zip(assignment.anchors.tolist(), assignment.rows.tolist(), strict=True):
        box = (one.grid.boxes[anchor] * factor).tolist()
        pen.rectangle(pixel_bounds(box), outline=f"{_color(one, row)}90")
    for row, label in enumerate(target.labels.tolist()):
        box = (target.boxes[row] * factor).tolist()
        color, name = _color(one, row), writable_name(categories[label].shown_name, label, font, 16)
        draw_box(pen, box, color, 3)
        draw_label(pen, name, (max(box[0], 0), max(box[1], 0)), picture.size, color, font)


def _color(one: TrainingPicture, row: int) -> str:
    if one.sample.target.crowd[row]:
        return CROWD
    return UNASSIGNED if row in one.assignment.unassigned else palette_color(row)


def _caption(one: TrainingPicture) -> tuple[str, str]:
    target, assignment = one.sample.target, one.assignment
    height, width = one.sample.image.shape[:2]
    without = f", {len(assignment.unassigned)} without an anchor" if len(assignment.unassigned) else ""
    ignored = f", {len(assignment.ignored)} ignored" if len(assignment.ignored) else ""
    boxes = counted(int((~target.crowd).sum()), "box")
    anchors = counted(len(assignment.anchors), "positive anchor", "positive anchors")
    return f"{shorten(one.name, 40)}, {width} x {height} px", f"{boxes}{without}; {anchors}{ignored}"
