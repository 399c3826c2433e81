"""Read boxes from CSV: one box a line, in pixels, with or without a header.

Without a header a line is path,x1,y1,x2,y2,class, with five empty cells for an image without objects
(https://github.com/fizyr/keras-retinanet#csv-datasets), or filename,width,height,class,xmin,ymin,xmax,ymax
(https://github.com/datitran/raccoon_dataset, the tables of TensorFlow's object detection).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from anchorloc.data.formats.image_finder import ImageFolder, shown_size
from anchorloc.data.formats.labels import (
    Builder,
    LabeledData,
    Labels,
    Notes,
    number,
    sorted_categories,
    split_of,
    whole_size,
)
from anchorloc.errors import InputError, ItemError
from anchorloc.files import read_bytes
from anchorloc.structures import Size
from anchorloc.text import first_few

FORMAT = "CSV"
MAX_BYTES = 1 << 30
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
    notes, categories = Notes(), dict[str, int]()
    root = source if source.is_dir() else source.parent
    known = ImageFolder(images or root, notes)
    builders: dict[str, Builder] = {}
    for split, path in _files(source).items():
        builders[split] = builder = Builder(categories)
        _read_file(path, known, builder)
    sorted_categories(list(builders.values()))
    splits = {split: Labels(source, builder.document(), known.folder) for split, builder in builders.items()}
    return LabeledData(FORMAT, splits, notes.sentences())


def _files(source: Path) -> dict[str, Path]:
    if source.is_file():
        return {"all": source}
    files = sorted(source.rglob("*.csv"))
    by_split: dict[str, list[Path]] = {}
    for path in files:
        split = split_of(path.stem) or next(filter(None, map(split_of, path.relative_to(source).parts[:-1])), None)
        by_split.setdefault(split or "all", []).append(path)
    several = [paths for paths in by_split.values() if len(paths) > 1]
    if not files or several or ("all" in by_split and len(by_split) > 1):
        shown = first_few([str(path.relative_to(source)) for path in files]) or "none"
        raise InputError(f"{source} must hold one CSV file, or one for each of train, val and test; it has {shown}")
    return {split: by_split[split][0] for split in ("all", "train", "val", "test") if split in by_split}


def columns_of(cells: Sequence[str]) -> dict[str, int] | None:
    """Return the place of each column if the cells are a header that has all that are needed, else None."""
    words = [cell.strip().lower().lstrip("\ufeff") for cell in cells]
    found = {
        column: words.index(next(name for name in names if name in words))
        for column, names in COLUMNS.items()
        if any(name in words for name in names)
    }
    return found if all(column in found for column in NEEDED) else None


def _read_file(path: Path, images: ImageFolder, builder: Builder) -> None:
    try:
        text = read_bytes(path, MAX_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    known: dict[str, int] = {}
    columns: dict[str, int] | None = None
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if columns is None:
                columns = columns_of(cells)
                if columns is not None:
                    continue
                columns = _by_number(cells)
            _read_line(cells, columns, images, builder, known)
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}, is not CSV: {error}; correct it") from None
    except ItemError as error:
        raise InputError(f"{path}, line {reader.line_num}, {error}; correct or remove the line") from None
    if not known:
        raise InputError(f"{path} has no lines of boxes; write path,x1,y1,x2,y2,class")


def _by_number(cells: Sequence[str]) -> dict[str, int]:
    order = ORDERS.get(len(cells))
    if order is None:
        raise ItemError(
            f"has {len(cells)} cells and is no header with {', '.join(NEEDED)}; write path,x1,y1,x2,y2,class"
        )
    return {column: place for place, column in enumerate(order)}


def _read_line(
    cells: Sequence[str], columns: dict[str, int], images: ImageFolder, builder: Builder, known: dict[str, int]
) -> None:
    if len(cells) <= max(columns.values()):
        raise ItemError(f"has {len(cells)} cells, but the columns need {max(columns.values()) + 1}")
    stated = cells[columns["path"]].strip()
    if stated not in known:
        name = images.find(stated)
        known[stated] = builder.add_image(name, _size(cells, columns, images.names[name]))
    corners = [cells[columns[side]].strip() for side in ("left", "top", "right", "bottom")]
    category = cells[columns["class"]].strip()
    if not any(corners) and not category:
        return  # an image without objects
    left, top, right, bottom = (number(cell, "the corner") for cell in corners)
    builder.add_box(known[stated], category, (left, top, right, bottom))


def _size(cells: Sequence[str], columns: dict[str, int], path: Path) -> Size:
    if "height" not in columns or "width" not in columns:
        return shown_size(path)
    return whole_size(cells[columns["height"]], cells[columns["width"]])
