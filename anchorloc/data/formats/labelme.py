"""Read LabelMe's JSON files, one for each image: https://github.com/wkentaro/labelme (labelme/_label_file.py)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from anchorloc.data.formats.image_finder import ImageFolder, shown_size
from anchorloc.data.formats.label_collector import LabelCollector
from anchorloc.data.formats.labels import (
    NO_AREA,
    POLYGONS,
    ROTATED,
    Box,
    Builder,
    LabeledData,
    Notes,
    around,
    number,
    split_of_folders,
    whole_size,
)
from anchorloc.data.formats.reading_progress import tracked
from anchorloc.errors import InputError, ItemError
from anchorloc.files import read_json
from anchorloc.structures import Size
from anchorloc.text import json_type, short_repr

FORMAT = "LabelMe"
WITHOUT_AREA = ("point", "line", "linestrip", "points")
TURNED = ("rotation", "oriented_rectangle")  # X-AnyLabeling's and LabelMe's


def read_labelme(source: Path, images: Path | None = None) -> LabeledData:
    """Read a JSON file, or all of a folder that are LabelMe's; folders train, valid and test make the splits.

    Raises:
        InputError: a file is damaged, or names an image that is not there.
    """
    collected = LabelCollector(source, images)
    files = [source] if source.is_file() else sorted(path for path in source.rglob("*.json") if path.name[0] != ".")
    splits = [split_of_folders(path, collected.root) for path in files]
    one = None in splits
    for path, split in tracked(zip(files, splits, strict=True), len(files), "reading LabelMe"):
        content = read_json(path, skip=("imageData",))
        if not is_labelme(content) and source.is_dir():
            continue  # another tool's file among them
        builder = collected.split("all" if one else str(split))
        _read_file(path, content, collected.images, builder, collected.notes)
    if not collected.builders:
        raise InputError(f"{source} has no LabelMe file; looked for JSON files with shapes and imagePath below it")
    return collected.labeled(FORMAT)


def is_labelme(content: Any) -> bool:
    """Return whether a parsed JSON file is LabelMe's."""
    return isinstance(content, dict) and isinstance(content.get("shapes"), list) and "imagePath" in content


def _read_file(path: Path, content: Any, images: ImageFolder, builder: Builder, notes: Notes) -> None:
    if not is_labelme(content):
        raise InputError(f"{path} holds {json_type(content)} without shapes and imagePath; give a LabelMe file")
    try:
        stated = content["imagePath"]
        if type(stated) is not str:
            raise ItemError(f"has imagePath {short_repr(stated)}, which is not a text")
        name = images.find_for(path, stated)
        image = builder.add_image(name, _size(content, images.names[name]))
    except ItemError as error:
        raise InputError(f"{path} {error}; put the image there, or remove the file") from None
    for row, shape in enumerate(content["shapes"]):
        try:
            box = _box(shape, path, notes)
            if box is not None:
                builder.add_box(image, str(shape.get("label") if shape.get("label") is not None else ""), box)
        except ItemError as error:
            raise InputError(f"{path}: shape {row} {error}; correct or remove it") from None


def _size(content: dict[str, Any], path: Path) -> Size:
    height, width = content.get("imageHeight"), content.get("imageWidth")
    if height is None or width is None:
        return shown_size(path)
    return whole_size(height, width)


def _box(shape: Any, path: Path, notes: Notes) -> Box | None:
    """Return the box of a shape; None for a point or a line."""
    if not isinstance(shape, dict) or not isinstance(shape.get("points"), list):
        raise ItemError(f"is {short_repr(shape)}, not an object with points")
    kind = shape.get("shape_type") or "polygon"
    points = []
    for point in shape["points"]:
        if not isinstance(point, list) or len(point) != 2:
            raise ItemError(f"has the point {short_repr(point)}, which is not [x, y]")
        points.append((number(point[0], "x"), number(point[1], "y")))
    if kind in WITHOUT_AREA:
        notes.add(NO_AREA, path.name)
        return None
    if len(points) < 2:
        raise ItemError(f"is a {kind} with {len(points)} points; a box needs at least 2")
    if kind == "circle":  # center, and a point of the rim
        (x, y), (rim_x, rim_y) = points[:2]
        radius = ((x - rim_x) ** 2 + (y - rim_y) ** 2) ** 0.5
        return x - radius, y - radius, x + radius, y + radius
    if kind in TURNED:
        notes.add(ROTATED, path.name)
    elif kind not in ("rectangle", "mask"):  # a mask has the corners of its box
        notes.add(POLYGONS, path.name)
    return around(points)
