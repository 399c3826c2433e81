"""Read the JSON Lines of Azure Machine Learning: one image a line, boxes as shares of it.

https://learn.microsoft.com/azure/machine-learning/reference-automl-images-schema. Azure's COCO export is read as COCO.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from anchorloc.data.formats.image_finder import ImageFolder, shown_size
from anchorloc.data.formats.label_collector import LabelCollector
from anchorloc.data.formats.labels import (
    POLYGONS,
    Box,
    Builder,
    LabeledData,
    Notes,
    around,
    files_by_split,
    number,
    whole_size,
)
from anchorloc.data.formats.reading_progress import tracked
from anchorloc.errors import InputError, ItemError
from anchorloc.files import MAX_JSON_BYTES, read_text
from anchorloc.structures import Size
from anchorloc.text import short_repr

FORMAT: Final = "Azure"
CORNERS: Final = ("topX", "topY", "bottomX", "bottomY")


def read_azure(source: Path, images: Path | None = None) -> LabeledData:
    """Read a .jsonl file, or a folder with one, or with one for each of train, val and test.

    Raises:
        InputError: a file is damaged, or names an image that is not there.
    """
    collected = LabelCollector(source, images)
    for split, path in files_by_split(source, sorted(source.rglob("*.jsonl")), ".jsonl file").items():
        builder = collected.split(split)
        lines = read_text(path, MAX_JSON_BYTES).splitlines()
        for row, line in enumerate(tracked(lines, len(lines), "reading lines"), 1):
            try:
                if line.strip():
                    _add_image(_parsed(line), collected.images, builder, collected.notes)
            except ItemError as error:
                raise InputError(f"{path}, line {row}, {error}; correct or remove the line") from None
    return collected.labeled(FORMAT)


def _parsed(line: str) -> dict[str, Any]:
    try:
        content = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ItemError(f"is not JSON: {str(error)[:120]}") from None
    if not isinstance(content, dict) or type(content.get("image_url")) is not str:
        raise ItemError("has no image_url")
    if not isinstance(content.get("label"), list):
        raise ItemError("has no list label of boxes; only labels of object detection are read")
    return content


def _add_image(content: dict[str, Any], known: ImageFolder, builder: Builder, notes: Notes) -> None:
    try:
        stated = urlsplit(content["image_url"]).path.lstrip("/")
    except ValueError:
        stated = content["image_url"]
    name = known.find(stated)
    size = _size(content.get("image_details"), known.names[name])
    image = builder.add_image(name, size)
    for row, label in enumerate(content["label"]):
        try:
            box, crowd = _box(label, size, name, notes), label.get("isCrowd")
            is_crowd = crowd is not None and str(crowd).lower() in ("1", "true")
            builder.add_box(image, str(label.get("label") or ""), box, crowd=is_crowd)
        except ItemError as error:
            raise ItemError(f"label {row} {error}") from None


def _size(details: Any, path: Path) -> Size:
    """Return the declared (height, width), such as "400px" or 400, or the file's where none is declared."""
    sides = [details.get(key) if isinstance(details, dict) else None for key in ("height", "width")]
    if None in sides:
        return shown_size(path)
    return whole_size(*(side.removesuffix("px") if isinstance(side, str) else side for side in sides))


def _box(label: Any, size: Size, name: str, notes: Notes) -> Box:
    if not isinstance(label, dict):
        raise ItemError(f"is {short_repr(label)}, not an object")
    height, width = size
    if "topX" in label or "polygon" not in label:
        corners: list[Any] = [label.get(key) for key in CORNERS]
        if set(map(type, corners)) != {float}:  # as JSON gives them; `add_box` refuses NaN
            corners = list(map(number, corners, CORNERS))
        left, top, right, bottom = corners
    else:
        notes.add(POLYGONS, name)
        parts = label["polygon"] if isinstance(label["polygon"], list) else []
        values = [number(value, "the point") for part in parts if isinstance(part, list) for value in part]
        if not values or len(values) % 2:
            raise ItemError("has a polygon that is not a list of x, y, x, y ...")
        left, top, right, bottom = around(list(zip(values[::2], values[1::2], strict=True)))
    return left * width, top * height, right * width, bottom * height
