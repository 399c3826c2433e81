"""A sheet of training pictures: what the network sees, its boxes, and the anchors that learn each of them."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from anchorloc.lab.training_pictures import Scene
from anchorloc.structures import Category
from anchorloc.text import counted, shorten

CELL = 400  # pixels of the longer side of a picture
GAP, LINE, HEAD = 12, 17, 30
MOST_COLUMNS = 4
# Apart from each other also for most color-blind readers (after Okabe and Ito, 2008), bright enough for photographs.
COLORS = ("#56b4e9", "#e69f00", "#2fd39a", "#f0e442", "#cc79a7", "#4d8dff", "#ff8c42", "#b6e880")
LOST, CROWD, INK, PAPER = "#ff2d2d", "#b0b0b0", "#202020", "#ffffff"


def draw_sheet(scenes: Sequence[Scene], categories: Sequence[Category]) -> bytes:
    """Return a PNG: each box in a color, thick, with the anchors that learn it in the same color, thin.

    A box that no anchor learns is red, a crowd box gray.
    """
    columns = min(MOST_COLUMNS, len(scenes))
    rows = math.ceil(len(scenes) / columns)
    cells = [_cell(scene, categories) for scene in scenes]
    tall = [max(cell.height for cell in cells[row * columns : (row + 1) * columns]) for row in range(rows)]
    sheet = Image.new("RGB", (columns * (CELL + GAP) + GAP, HEAD + sum(tall) + (rows + 1) * GAP), PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text(
        (GAP, 9),
        "thick: boxes; thin, same color: anchors that learn them; red: no anchor; gray: crowd",
        INK,
        _font(14),
    )
    for place, cell in enumerate(cells):
        row, column = divmod(place, columns)
        sheet.paste(cell, (GAP + column * (CELL + GAP), HEAD + GAP + sum(tall[:row]) + row * GAP))
    file = io.BytesIO()
    sheet.save(file, "PNG")
    return file.getvalue()


def _cell(scene: Scene, categories: Sequence[Category]) -> Image.Image:
    """Draw one picture with its two lines of text."""
    pixels = scene.sample.image
    height, width = pixels.shape[:2]
    factor = CELL / max(height, width)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    picture = Image.fromarray(pixels.astype(np.uint8)).resize(size, Image.Resampling.BILINEAR)
    _draw_boxes(picture, scene, factor, categories)
    cell = Image.new("RGB", (CELL, size[1] + 2 * LINE + 4), PAPER)
    cell.paste(picture)
    pen = ImageDraw.Draw(cell)
    for line, text in enumerate(_caption(scene)):
        pen.text((0, size[1] + 4 + line * LINE), text, INK, _font(13))
    return cell


def _draw_boxes(picture: Image.Image, scene: Scene, factor: float, categories: Sequence[Category]) -> None:
    target, assignment = scene.sample.target, scene.assignment
    pen = ImageDraw.Draw(picture, "RGBA")
    for anchor, row in zip(assignment.anchors.tolist(), assignment.rows.tolist(), strict=True):
        box = (scene.grid.boxes[anchor] * factor).tolist()
        pen.rectangle(_outline(box), outline=f"{_color(scene, row)}90")
    for row, label in enumerate(target.labels.tolist()):
        box = (target.boxes[row] * factor).tolist()
        pen.rectangle(_outline(box), outline=_color(scene, row), width=3)
        corner = (max(box[0], 0) + 4, max(box[1], 0) + 3)
        pen.text(corner, shorten(categories[label].name, 16), "white", _font(12), stroke_width=2, stroke_fill="black")


def _outline(box: Sequence[float]) -> list[float]:
    """The pixels that a box (4,) begins and ends with; one of no width is a line."""
    return [box[0], box[1], max(box[0], box[2] - 1), max(box[1], box[3] - 1)]


def _color(scene: Scene, row: int) -> str:
    if scene.sample.target.crowd[row]:
        return CROWD
    return LOST if row in scene.assignment.unassigned else COLORS[row % len(COLORS)]


def _caption(scene: Scene) -> tuple[str, str]:
    target, assignment = scene.sample.target, scene.assignment
    height, width = scene.sample.image.shape[:2]
    lost = f", {len(assignment.unassigned)} without" if len(assignment.unassigned) else ""
    ignored = f", {len(assignment.ignored)} ignored" if len(assignment.ignored) else ""
    boxes = counted(int((~target.crowd).sum()), "box")
    anchors = counted(len(assignment.anchors), "anchor")
    return f"{shorten(scene.name, 40)}, {width} x {height} px", f"{boxes}{lost}; {anchors} learn{ignored}"


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
