"""Read the annotations of VIA 1 and 2, as JSON or as CSV: https://gitlab.com/vgg/via (via-2.x.y/CodeDoc.md).

The JSON is a project, with the images under _via_img_metadata, or these images alone; the CSV has a line for each
region. VIA has no classes: one of the attributes of the regions names them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from anchorloc.data.formats.image_finder import ImageFolder, shown_sizes
from anchorloc.data.formats.label_collector import LabelCollector
from anchorloc.data.formats.labels import (
    NO_AREA,
    POLYGONS,
    Box,
    Builder,
    LabeledData,
    Notes,
    around,
    around_ellipse,
    files_by_split,
    number,
)
from anchorloc.data.formats.reading_progress import parsing
from anchorloc.data.formats.table import read_rows
from anchorloc.errors import InputError, ItemError
from anchorloc.files import read_bytes, read_json
from anchorloc.text import first_few, json_type, short_repr, shorten

FORMAT = "VIA"
CLASS_NAMES: Final = ("class", "label", "name", "category", "type", "object")
COLUMNS: Final = ("filename", "region_id", "region_shape_attributes", "region_attributes")
VERSION_3: Final = {"project", "config", "attribute", "file", "metadata", "view"}
EMPTY: Final[tuple[object, ...]] = ("", {}, None)  # values of an attribute that name no class
WITHOUT_AREA: Final = ("point", "line", "polyline")
Attributes = Mapping[str, Any]


class _Region(NamedTuple):
    row: Any  # its number or key in its image
    shape: Attributes
    attributes: Attributes


Images = dict[str, list[_Region]]  # the regions of each image, by the name of its file


def read_via(source: Path, images: Path | None = None) -> LabeledData:
    """Read a JSON or CSV file of VIA, or a folder with one, or with one for each of train, val and test.

    Raises:
        InputError: a file is damaged, names an image that is not there, or no attribute names the classes.
    """
    collected = LabelCollector(source, images)
    files = files_by_split(source, via_files(source), "file of VIA")
    parts = {split: _read_csv(path) if is_csv(path) else _read_json(path) for split, path in files.items()}
    attribute = _class_attribute(parts.values(), source)
    for split, part in parts.items():
        _add(files[split], part, attribute, collected.images, collected.split(split), collected.notes)
    return collected.labeled(FORMAT)


def via_files(folder: Path) -> list[Path]:
    """Return the JSON and CSV files below a folder that speak of VIA's regions."""
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".json", ".csv"))
    return [path for path in found if path.name[0] != "." and is_via(path)]


def is_via(path: Path) -> bool:
    """Return whether the start of a file has VIA's words; its reader decides whether it has them in their places."""
    try:
        start = read_bytes(path, start=1 << 16)
    except InputError:
        return False
    if is_csv(path):
        return all(name.encode() in start.partition(b"\n")[0] for name in COLUMNS)
    return any(word in start for word in (b'"_via_', b'"shape_attributes"', b'"file_attributes"'))


def is_csv(path: Path) -> bool:
    """Return whether a file is a table by its name."""
    return path.suffix.lower() == ".csv"


def _read_json(path: Path) -> Images:
    with parsing(path):
        content = read_json(path)
    if not isinstance(content, dict):
        raise InputError(f"{path} holds {json_type(content)}, not an object with the images of VIA; export it again")
    if content.keys() >= VERSION_3:
        raise InputError(f"{path} is a project of VIA 3, which is not read; export it as COCO in VIA")
    images = content.get("_via_img_metadata", content)
    if not isinstance(images, dict):
        raise InputError(f"{path}: _via_img_metadata is {json_type(images)}, not an object; export it again")
    found: Images = {}
    for key, item in images.items():
        regions = item.get("regions") if isinstance(item, dict) else None
        if not isinstance(regions, list | dict) or type(item.get("filename")) is not str:
            raise InputError(f"{path}: the image {short_repr(key)} has no filename with regions; export it again")
        rows = regions.items() if isinstance(regions, dict) else enumerate(regions)  # VIA 1 numbers them by keys
        try:
            made = [_region(row, region) for row, region in rows]
        except ItemError as error:
            raise InputError(f"{path}: the image {short_repr(key)}, {error}; correct or remove it") from None
        found.setdefault(item["filename"], []).extend(made)
    return found


def _region(row: Any, region: Any) -> _Region:
    if isinstance(region, dict):
        shape, attributes = region.get("shape_attributes"), region.get("region_attributes")
        if isinstance(shape, dict) and isinstance(attributes, dict):
            return _Region(row, shape, attributes)
    raise ItemError(f"region {row}, is not an object with shape_attributes and region_attributes")


def _read_csv(path: Path) -> Images:
    found: Images = {}
    places: list[int] = []  # one of each of COLUMNS, as the header has them

    def take(cells: list[str]) -> None:
        if not places:
            words = [cell.strip().lstrip("#") for cell in cells]
            if not set(words) >= set(COLUMNS):
                raise ItemError(f"is not a header with {', '.join(COLUMNS)}; export the annotations as CSV again")
            places.extend(words.index(name) for name in COLUMNS)
            return
        if len(cells) <= max(places):
            raise ItemError(f"has {len(cells)} cells, but the columns need {max(places) + 1}")
        name, number_of, shape, attributes = (cells[place] for place in places)
        regions = found.setdefault(name, [])
        if shape.strip() not in ("", "{}"):  # an image without regions has one line too
            regions.append(_Region(number_of, _object(shape), _object(attributes)))

    read_rows(path, take)
    return found


def _object(cell: str) -> Attributes:
    try:
        value = json.loads(cell)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise ItemError(f"has {short_repr(cell)}, which is not a JSON object")
    return value


def _class_attribute(parts: Iterable[Images], source: Path) -> str:
    """Return the attribute that names the classes: the only one, or the one that is called so."""
    regions = [region for part in parts for found in part.values() for region in found]
    used = {name for region in regions for name, value in region.attributes.items() if value not in EMPTY}
    if len(used) == 1:
        return used.pop()
    named = [attribute for name in CLASS_NAMES for attribute in sorted(used) if attribute.strip().lower() == name]
    if named:
        return named[0]
    if regions and not used:
        raise InputError(f"{source} has no attribute with the class of a region; add one named class in VIA")
    if used:
        found = first_few([shorten(name) for name in sorted(used)])
        raise InputError(
            f"{source} has regions with the attributes {found}, and none is called {', '.join(CLASS_NAMES)}; rename "
            "the attribute that holds the class in VIA"
        )
    return ""


def _add(path: Path, part: Images, attribute: str, known: ImageFolder, builder: Builder, notes: Notes) -> None:
    """Add the images of a file, with the boxes around their regions."""
    by_name: Images = {}
    for stated, regions in part.items():
        try:
            by_name.setdefault(known.find(stated), []).extend(regions)
        except ItemError as error:
            raise InputError(f"{path} {error}; put the image there, or remove it from the file") from None
    sizes = shown_sizes([known.names[name] for name in by_name])
    images = [builder.add_image(name, size) for name, size in zip(by_name, sizes, strict=True)]
    if _add_rectangles(by_name.values(), images, attribute, builder):
        return
    for (name, regions), image in zip(by_name.items(), images, strict=True):
        for region in regions:
            try:
                box = _box(region.shape, name, notes)
                if box is not None:
                    builder.add_box(image, _class(region.attributes.get(attribute)), box)
            except ItemError as error:
                raise InputError(f"{path}: {name}, region {region.row} {error}; correct or remove it") from None


def _add_rectangles(
    by_image: Iterable[Sequence[_Region]], images: Sequence[int], attribute: str, builder: Builder
) -> bool:
    """Add the boxes of rectangles, which is faster than one by one; False, and no box, if a region is anything else."""
    placed = [(image, region) for image, regions in zip(images, by_image, strict=True) for region in regions]
    shapes = [region.shape for _, region in placed]
    if not placed or any(shape.get("name") != "rect" for shape in shapes):
        return False
    sides = [[shape.get(key) for shape in shapes] for key in ("x", "y", "width", "height")]
    if not {type(value) for side in sides for value in side} <= {int, float}:
        return False
    try:
        left, top, width, height = np.array(sides, np.float64)  # (M,) each
        named = (region.attributes.get(attribute) for _, region in placed)
        classes = [value.strip() if type(value) is str else _class(value) for value in named]
        builder.add_boxes([image for image, _ in placed], classes, (left, top, left + width, top + height))
    except (ItemError, OverflowError):  # the loop over regions names the one
        return False
    return True


def _class(value: Any) -> str:
    """Return the class that the value of an attribute names: a text, or the ticked box of several."""
    if isinstance(value, dict):
        ticked = [name for name, chosen in value.items() if chosen is True]
        if len(ticked) > 1:
            raise ItemError(f"has several classes: {first_few(ticked)}")
        return ticked[0] if ticked else ""
    if type(value) not in (str, int, float):
        return ""
    return str(value).strip()


def _box(shape: Attributes, name: str, notes: Notes) -> Box | None:
    """Return the box of a shape; None for points and lines."""

    kind = shape.get("name")
    if kind == "rect":
        left, top = number(shape.get("x"), "x"), number(shape.get("y"), "y")
        return left, top, left + number(shape.get("width"), "width"), top + number(shape.get("height"), "height")

    def value(key: str) -> float:
        return number(shape.get(key), key)

    if kind == "circle":
        return around_ellipse((value("cx"), value("cy")), (value("r"), value("r")), 0)
    if kind == "ellipse":
        angle = number(shape.get("theta", 0), "theta")
        notes.add(POLYGONS, name)
        return around_ellipse((value("cx"), value("cy")), (value("rx"), value("ry")), angle)
    if kind == "polygon":
        notes.add(POLYGONS, name)
        columns, rows = shape.get("all_points_x"), shape.get("all_points_y")
        if not isinstance(columns, list) or not isinstance(rows, list) or len(columns) != len(rows) or not rows:
            raise ItemError("is a polygon whose all_points_x and all_points_y are not lists of one length")
        return around([(number(x, "x"), number(y, "y")) for x, y in zip(columns, rows, strict=True)])
    if kind in WITHOUT_AREA:
        notes.add(NO_AREA, name)
        return None
    raise ItemError(f"has the shape {short_repr(kind)}, which is not known")
