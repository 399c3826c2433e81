"""Read boxes from CSV: one box a line, in pixels, with or without a header.

Without a header a line is path,x1,y1,x2,y2,class, with five empty cells for an image without objects
(https://github.com/fizyr/keras-retinanet#csv-datasets), or filename,width,height,class,xmin,ymin,xmax,ymax
(https://github.com/datitran/raccoon_dataset, the tables of TensorFlow's object detection). Commas, semicolons or tabs
separate the cells, whichever the first line has most.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Final

from anchorloc.data.formats.image_finder import ImageFolder, shown_size
from anchorloc.data.formats.label_collector import LabelCollector
from anchorloc.data.formats.labels import Builder, LabeledData, files_by_split, number, whole_size
from anchorloc.data.formats.reading_progress import tracked
from anchorloc.errors import InputError, ItemError
from anchorloc.files import read_text
from anchorloc.structures import Size
from anchorloc.text import counted

FORMAT = "CSV"
MAX_BYTES = 1 << 30
CHUNK: Final = 4096  # lines taken at once
COLUMNS: Final = {  # column: its names in headers
    "path": ("path", "filename", "file_name", "image", "image_path", "img_path", "imagepath", "image_name"),
    "left": ("x1", "xmin", "x_min", "left"),
    "top": ("y1", "ymin", "y_min", "top"),
    "right": ("x2", "xmax", "x_max", "right"),
    "bottom": ("y2", "ymax", "y_max", "bottom"),
    "class": ("class", "label", "class_name", "classname", "category", "name"),
    "width": ("width", "image_width", "img_width"),
    "height": ("height", "image_height", "img_height"),
}
NEEDED: Final = ("path", "left", "top", "right", "bottom", "class")
ORDERS: Final = {  # without a header, by the number of cells
    6: ("path", "left", "top", "right", "bottom", "class"),
    8: ("path", "width", "height", "class", "left", "top", "right", "bottom"),
}


def read_table(source: Path, images: Path | None = None) -> LabeledData:
    """Read a CSV file, or the files of a folder that are named after train, val and test.

    Raises:
        InputError: a file is damaged, lacks a column, or names an image that is not there.
    """
    collected = LabelCollector(source, images)
    for split, path in files_by_split(source, sorted(source.rglob("*.csv")), "CSV file").items():
        rows = _Rows(collected.images, collected.split(split))
        read_rows(path, rows.take, rows.take_many)
        if not rows.images:
            raise InputError(f"{path} has no lines of boxes; write path,x1,y1,x2,y2,class")
    return collected.labeled(FORMAT)


def read_rows(
    path: Path, take: Callable[[list[str]], None], take_many: Callable[[list[list[str]]], bool] = lambda rows: False
) -> None:
    """Call `take` with the cells of every line of a CSV file, blank lines left out.

    Args:
        path: the file.
        take: takes one line.
        take_many: takes many lines at once, or returns False and leaves them all to `take`; it may get blank cells.

    Raises:
        InputError: the file is not CSV in UTF-8, or `take` raises an ItemError; the message names the line.
    """
    text = read_text(path, MAX_BYTES)
    first = text.lstrip().partition("\n")[0]
    separator = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=separator)
    lines = tracked(reader, text.count("\n"), "reading lines")
    number = 0
    try:
        while some := [(reader.line_num, cells) for cells in islice(lines, CHUNK)]:
            if not take_many([cells for _, cells in some if cells]):
                for number, cells in some:  # noqa: B007 (named in the error below)
                    if "".join(cells).strip():
                        take(cells)
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}, is not CSV: {error}; correct it") from None
    except _HeaderError as error:
        raise InputError(f"{path}, line {number}, {error}") from None
    except ItemError as error:
        raise InputError(f"{path}, line {number}, {error}; correct or remove the line") from None


def columns_of(cells: Sequence[str]) -> dict[str, int] | None:
    """Return the place of each column if the cells are a header that has all that are needed, else None."""
    words = [cell.strip().lower().lstrip("\ufeff") for cell in cells]
    found = {
        column: words.index(next(name for name in names if name in words))
        for column, names in COLUMNS.items()
        if any(name in words for name in names)
    }
    return found if all(column in found for column in NEEDED) else None


class _HeaderError(ItemError):
    """A first line that does not say what the columns are; without it, they would be taken for others."""


class _Rows:
    """Take the lines of one file: a header or none, then boxes."""

    def __init__(self, folder: ImageFolder, builder: Builder) -> None:
        self.folder, self.builder, self.add_box = folder, builder, builder.add_box
        self.images: dict[str, int] = {}  # id of each image by its name in the table
        self.ids: dict[str, int] = {}  # id of each image by its name in the folder
        self.columns: dict[str, int] = {}
        self.pick: Callable[[list[str]], tuple[str, ...]] = tuple  # the cells of NEEDED
        self.width = 0  # the least number of cells

    def take(self, cells: list[str]) -> None:
        if not self.columns:
            header = columns_of(cells)
            self.columns = header or _by_number(cells)
            self.pick = itemgetter(*(self.columns[column] for column in NEEDED))
            self.width = max(self.columns.values()) + 1
            if header:
                return
        if len(cells) < self.width:
            raise ItemError(f"has {len(cells)} cells, but the columns need {self.width}")
        stated, x1, y1, x2, y2, category = self.pick(cells)
        image = self.images.get(stated) or self._image(stated, cells)
        try:
            box = float(x1), float(y1), float(x2), float(y2)
        except ValueError:
            if not f"{x1}{y1}{x2}{y2}{category}".strip():
                return  # an image without objects
            for cell in (x1, y1, x2, y2):
                number(cell.strip(), "the corner")  # raises for the wrong one
            raise
        self.add_box(image, category.strip(), box)

    def take_many(self, rows: list[list[str]]) -> bool:
        """Take lines of boxes alone, which is faster than one by one; False if a line is anything else."""
        if not self.columns or min(map(len, rows), default=0) < self.width:
            return False
        stated, *corners, classes = zip(*map(self.pick, rows), strict=True)
        try:
            sides = [list(map(float, column)) for column in corners]
            for name, cells in dict(zip(stated, rows, strict=True)).items():
                if name not in self.images:
                    self._image(name, cells)
            self.builder.add_boxes([self.images[name] for name in stated], list(map(str.strip, classes)), sides)
        except (ValueError, ItemError):  # `take` finds the line
            return False
        return True

    def _image(self, stated: str, cells: Sequence[str]) -> int:
        name = self.folder.find(stated.strip())
        if name not in self.ids:
            self.ids[name] = self.builder.add_image(name, self._size(cells, self.folder.names[name]))
        self.images[stated] = self.ids[name]
        return self.images[stated]

    def _size(self, cells: Sequence[str], path: Path) -> Size:
        if "height" in self.columns and "width" in self.columns:
            return whole_size(cells[self.columns["height"]], cells[self.columns["width"]])
        return shown_size(path)


def _by_number(cells: Sequence[str]) -> dict[str, int]:
    order = ORDERS.get(len(cells))
    if order is None:
        raise _HeaderError(
            f"has {counted(len(cells), 'cell')} and is no header with {', '.join(NEEDED)}; write path,x1,y1,x2,y2,class"
        )
    corners = [cells[order.index(column)].strip() for column in NEEDED[1:5]]
    if all(corner[:1].isalpha() and corner.lower() not in ("nan", "inf", "infinity") for corner in corners):
        raise _HeaderError(f"is no header with {', '.join(NEEDED)}; name these columns, and give corners, not sizes")
    return {column: place for place, column in enumerate(order)}
