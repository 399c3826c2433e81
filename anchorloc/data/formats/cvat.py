"""Read CVAT's XML for images: https://docs.cvat.ai/docs/dataset_management/formats/format-cvat/"""

from __future__ import annotations

import math
from pathlib import Path

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
    around_ellipse,
    number,
    rotated,
    split_of,
    whole_size,
)
from anchorloc.data.formats.reading_progress import tracked
from anchorloc.data.formats.voc import Node, parse_xml, text_of, xml_files
from anchorloc.errors import InputError, ItemError
from anchorloc.structures import Size
from anchorloc.text import short_repr

FORMAT = "CVAT"
MAX_BYTES = 1 << 30
SHAPES = ("box", "polygon", "mask", "ellipse", "polyline", "points", "cuboid", "skeleton")


def read_cvat(source: Path, images: Path | None = None) -> LabeledData:
    """Read annotations.xml, or the folder that holds it; `subset` of an image makes the splits.

    Raises:
        InputError: the file is damaged, of a video, or names an image that is not there.
    """
    path = _file(source)
    root = parse_xml(path, MAX_BYTES)
    if root.tag != "annotations":
        raise InputError(f"{path} is not of CVAT: its first element is {root.tag[:40]!r}, not 'annotations'")
    if root.find("track") is not None:
        raise InputError(f"{path} is CVAT's XML for video; export the task as 'CVAT for images 1.1'")
    collected = LabelCollector(path, images)
    for node in root.iterfind("meta//label"):
        if name := text_of(node, "name"):
            collected.categories.setdefault(name, len(collected.categories) + 1)
    nodes = root.findall("image")
    if not nodes:
        raise InputError(f"{path} has no image; export the task with its images")
    splits = [split_of(node.get("subset") or "") for node in nodes]
    for node, split in tracked(zip(nodes, splits, strict=True), len(nodes), "reading CVAT"):
        builder = collected.split(str(split) if None not in splits else "all")
        try:
            _read_image(node, collected.images, builder, collected.notes)
        except ItemError as error:
            raise InputError(f"{path}: image {short_repr(node.get('id'))} {error}") from None
    return collected.labeled(FORMAT, by_name=False)


def _file(source: Path) -> Path:
    if source.is_file():
        return source
    files = [path for path in xml_files(source) if path.name == "annotations.xml"] or xml_files(source)
    if len(files) != 1:
        raise InputError(f"{source} has {len(files)} XML files; give CVAT's annotations.xml itself")
    return files[0]


def _read_image(node: Node, images: ImageFolder, builder: Builder, notes: Notes) -> None:
    stated = node.get("name") or ""
    name = images.find(stated, "images")
    image = builder.add_image(name, _size(node, images.names[name]))
    for row, shape in enumerate(node):
        if shape.tag not in SHAPES:
            continue  # a tag of the whole image
        try:
            box = _box(shape, stated, notes)
            if box is not None:
                builder.add_box(image, shape.get("label") or "", box)
        except ItemError as error:
            raise ItemError(f"{short_repr(stated)}: {shape.tag} {row} {error}; correct or remove it") from None


def _size(node: Node, path: Path) -> Size:
    words = node.get("height"), node.get("width")
    if None in words:
        return shown_size(path)
    return whole_size(*words)


def _box(shape: Node, name: str, notes: Notes) -> Box | None:
    """Return the box of a shape; None for points and lines."""

    def value(key: str) -> float:
        return number(shape.get(key), key)

    if shape.tag == "box":
        left, top, right, bottom = value("xtl"), value("ytl"), value("xbr"), value("ybr")
        angle = number(shape.get("rotation", "0"), "rotation")
        if not angle:
            return left, top, right, bottom
        notes.add(ROTATED, name)
        return around(rotated(((left + right) / 2, (top + bottom) / 2), (right - left, bottom - top), angle))
    if shape.tag == "ellipse":
        notes.add(POLYGONS, name)
        angle = math.radians(number(shape.get("rotation", "0"), "rotation"))
        return around_ellipse((value("cx"), value("cy")), (value("rx"), value("ry")), angle)
    if shape.tag == "mask":
        notes.add(POLYGONS, name)
        left, top = value("left"), value("top")
        return left, top, left + value("width"), top + value("height")
    if shape.tag == "polygon":
        notes.add(POLYGONS, name)
        return around([_point(word) for word in (shape.get("points") or "").split(";")])
    notes.add(NO_AREA, name)
    return None


def _point(word: str) -> tuple[float, float]:
    x, comma, y = word.partition(",")
    if not comma:
        raise ItemError(f"has the point {short_repr(word)}, which is not x,y")
    return number(x, "x"), number(y, "y")
