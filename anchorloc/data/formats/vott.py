"""Read VoTT's JSON: an export with all images, or the project's *-asset.json files, one for each image.

https://github.com/microsoft/VoTT (src/providers/export/vottJson.ts, src/models/applicationState.ts)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from anchorloc.data.formats.image_finder import ImageFolder, shown_size
from anchorloc.data.formats.label_collector import LabelCollector
from anchorloc.data.formats.labels import (
    NO_AREA,
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
from anchorloc.data.formats.reading_progress import parsing, tracked
from anchorloc.errors import InputError, ItemError
from anchorloc.files import MAX_JSON_BYTES, read_bytes, read_json
from anchorloc.structures import Size
from anchorloc.text import json_type, short_repr

FORMAT = "VoTT"
ASSETS: Final = "-asset.json"  # end of the name of the file of one image
WITHOUT_AREA: Final = ("POINT", "POLYLINE")
NOT_VISITED: Final = 0  # state of an image that nobody has opened
UNSEEN: Final = "images that nobody has opened in VoTT: {}; they are background"
TAGS: Final = "regions with several tags: {}; each tag has a box"


def read_vott(source: Path, images: Path | None = None) -> LabeledData:
    """Read an export, a project, or a folder with one of them, or with an export for each of train, val and test.

    Raises:
        InputError: a file is damaged, or names an image that is not there.
    """
    collected, listed = LabelCollector(source, images), False
    for split, paths in _files(source, collected.root).items():
        builder = collected.split(split)
        for path in tracked(paths, len(paths), "reading files of VoTT"):
            with parsing(path):
                content = read_json(path)
            listed |= _add_tags(path, content, builder)
            for place, asset in _assets(path, content):
                _add_asset(place, asset, collected.images, builder, collected.notes)
    return collected.labeled(FORMAT, by_name=not listed)


def _files(source: Path, root: Path) -> dict[str, list[Path]]:
    """Return the files of each split: exports, or the files of a project."""
    if source.is_file() and source.suffix.lower() == ".json":
        return {"all": [source]}
    found = sorted(path for path in root.rglob("*.json") if path.name[0] != "." and path.is_file())
    exports = [path for path in found if not path.name.endswith(ASSETS) and _is_export(path)]
    if source.is_dir() and exports:
        return {split: [path] for split, path in files_by_split(source, exports, "export of VoTT").items()}
    assets = [path for path in found if path.name.endswith(ASSETS)]
    if not assets:
        raise InputError(f"{source} has no labels of VoTT; looked for an export and for files *{ASSETS} below {root}")
    return {"all": [*sorted(root.glob("*.vott")), *assets]}


def _is_export(path: Path) -> bool:
    content = read_bytes(path, MAX_JSON_BYTES)
    return b'"assets"' in content and b'"regions"' in content


def _add_tags(path: Path, content: Any, builder: Builder) -> bool:
    """Take the classes in the order in which an export or a project lists them; return whether it lists some."""
    tags = content.get("tags") if isinstance(content, dict) else None
    for tag in tags if isinstance(tags, list) else ():
        name = tag.get("name") if isinstance(tag, dict) else None
        if type(name) is not str or not name.strip():
            raise InputError(f"{path} has the tag {short_repr(tag)}, which has no name; name it in VoTT")
        builder.category(name)
    return bool(tags)


def _assets(path: Path, content: Any) -> Iterator[tuple[str, Any]]:
    """Yield each image of a file with its place."""
    if not isinstance(content, dict):
        raise InputError(f"{path} holds {json_type(content)}, not an object of VoTT; export it again")
    if path.suffix.lower() == ".vott":  # a project lists its images, whose regions are in their own files
        return
    if "asset" in content:
        yield str(path), content
        return
    assets = content.get("assets")
    if not isinstance(assets, dict):
        raise InputError(f"{path} has no object assets; export the project as VoTT JSON")
    for key, asset in assets.items():
        yield f"{path}: asset {short_repr(key)}", asset


def _add_asset(place: str, item: Any, known: ImageFolder, builder: Builder, notes: Notes) -> None:
    asset, regions = (item.get(key) if isinstance(item, dict) else None for key in ("asset", "regions"))
    if not isinstance(asset, dict) or not isinstance(regions, list) or type(asset.get("name")) is not str:
        raise InputError(f"{place} is not an object with asset, its name, and regions; export the project again")
    try:
        name = known.find(asset["name"])
        image = builder.add_image(name, _size(asset.get("size"), known.names[name]))
    except ItemError as error:
        raise InputError(f"{place} {error}; put the image there, or remove it in VoTT") from None
    if asset.get("state") == NOT_VISITED:
        notes.add(UNSEEN, name)
    for row, region in enumerate(regions):
        try:
            box = _box(region, name, notes)
            if box is not None:
                for tag in _tags(region, name, notes):
                    builder.add_box(image, tag, box)
        except ItemError as error:
            raise InputError(f"{place}, region {row} {error}; correct or remove it") from None


def _size(size: Any, path: Path) -> Size:
    if not isinstance(size, dict) or not size.get("width") or not size.get("height"):
        return shown_size(path)
    return whole_size(size["height"], size["width"])


def _tags(region: Mapping[str, Any], name: str, notes: Notes) -> Sequence[str]:
    tags = region.get("tags")
    if not isinstance(tags, list) or not tags or not all(type(tag) is str for tag in tags):
        raise ItemError(f"has the tags {short_repr(tags)}, which name no class")
    if len(tags) > 1:
        notes.add(TAGS, name)
    return tags


def _box(region: Any, name: str, notes: Notes) -> Box | None:
    """Return the box of a region; None for points and lines."""
    if not isinstance(region, dict):
        raise ItemError(f"is {short_repr(region)}, not an object")
    kind, box, points = region.get("type"), region.get("boundingBox"), region.get("points")
    if kind in WITHOUT_AREA:
        notes.add(NO_AREA, name)
        return None
    if kind == "POLYGON":
        notes.add(POLYGONS, name)
    if isinstance(box, dict):
        left, top = number(box.get("left"), "left"), number(box.get("top"), "top")
        return left, top, left + number(box.get("width"), "width"), top + number(box.get("height"), "height")
    if not isinstance(points, list) or not points or not all(isinstance(point, dict) for point in points):
        raise ItemError("has neither a boundingBox nor points")
    return around([(number(point.get("x"), "x"), number(point.get("y"), "y")) for point in points])
