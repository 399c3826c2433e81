"""Read YOLO labels: Ultralytics' data.yaml, darknet's obj.data, or folders images/ and labels/ with classes.txt.

A label file has the name of its image with .txt, in the folder labels/ where the image is below images/, else beside
it. A line is a class number and a box or a polygon, in fractions of the image as viewers show it.
https://docs.ultralytics.com/datasets/detect and https://github.com/AlexeyAB/darknet
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from anchorloc.data.formats.image_finder import (
    common_folder,
    find_image_files,
    is_file,
    is_folder,
    shown_sizes,
    unused_files,
)
from anchorloc.data.formats.labels import POLYGONS, SPLITS, Box, Builder, LabeledData, Labels, Notes, around, number
from anchorloc.data.formats.reading_progress import tracked
from anchorloc.data.image_formats import KNOWN_SUFFIXES
from anchorloc.errors import InputError, ItemError
from anchorloc.files import exists, read_text
from anchorloc.structures import Size
from anchorloc.text import counted, first_few, short_repr

FORMAT = "Ultralytics YOLO"
SLACK = 0.01  # fractions may pass 1 by this, from rounding
YAML_SPLITS = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}
CLASS_FILES = ("classes.txt", "obj.names", "_darknet.labels")
BACKGROUND = "images without a label file: {}; they are background"
ORPHANS = "label files without an image: {}; they are left out"
SCORES = "lines with a sixth value, as predictions have their score: {}; it is left out"
OTHER_COUNT = "data.yaml whose nc differs from its number of names: {}; the names count"
NO_PARENT = "paths that begin with ../ and do not exist: {}; they were read without it"
MAX_LABEL_BYTES = 1 << 26


def read_yolo(source: Path, images: Path | None = None) -> LabeledData:
    """Read a data.yaml, an obj.data, or a folder that holds one of them or classes.txt.

    Raises:
        InputError: a file is missing or damaged, or a line is not a label.
    """
    notes = Notes()
    root, names, parts, keypoints = _description(source, notes)
    if images is not None:
        parts = {"all": [str(images.absolute())]}
    found = {split: _images(entries, root, notes) for split, entries in parts.items()}
    found = {split: paths for split, paths in found.items() if paths}
    if not found:
        looked = first_few([str(entry) for entries in parts.values() for entry in entries])
        raise InputError(f"{source} names no images; looked for image files in {looked} below {root}")
    folder = _absolute(images) if images else common_folder(path for paths in found.values() for path in paths)
    splits = {}
    numbers = [str(place) for place in range(len(names))]  # the numbers decide: two classes may share a name
    for split, paths in found.items():
        builder = Builder({number: place + 1 for place, number in enumerate(numbers)}, names)
        labeled = zip(paths, shown_sizes(paths), strict=True)
        for image, size in tracked(labeled, len(paths), "reading YOLO"):
            name = image.relative_to(folder)
            file = label_path(image) if images is None else _given_label_path(root, name)
            _read_labels(file, builder.add_image(name.as_posix(), size), numbers, builder, size, notes, keypoints)
        splits[split] = Labels(source, builder.document(), folder)
    if images is None and not any(entry.endswith(".txt") for entries in parts.values() for entry in entries):
        for file in unused_files({label_path(image) for paths in found.values() for image in paths}, ".txt"):
            if file.name not in CLASS_FILES and _is_label(file):
                notes.add(ORPHANS, file.name)
    return LabeledData(FORMAT, splits, notes.sentences())


def label_path(image: Path) -> Path:
    """Return the label file of an image: the last folder images/ becomes labels/."""
    parts = list(image.parts)
    for place in range(len(parts) - 2, -1, -1):
        if parts[place] == "images":
            parts[place] = "labels"
            return Path(*parts).with_suffix(".txt")
    return image.with_suffix(".txt")


def _given_label_path(root: Path, name: Path) -> Path:
    """Return the label file of an image whose folder is given apart: below the labels, or labels/ in them."""
    inside = root / "labels" / name.with_suffix(".txt")
    return inside if inside.is_file() else root / name.with_suffix(".txt")


def find_description(folder: Path) -> Path | None:
    """Return the file of a folder that describes a YOLO data set, or None."""
    for path in sorted(folder.glob("*.yaml")) + sorted(folder.glob("*.yml")):
        content = _yaml(path, quiet=True)
        unknown = ["train"] if content is None else []
        keys = {*(content if isinstance(content, dict) else unknown)}
        if keys & {"train", "val"} and ("names" in keys or path.name == "data.yaml"):
            return path  # its reader says what is wrong
    others = (*sorted(folder.glob("*.data")), *(folder / name for name in CLASS_FILES))
    return next((path for path in others if path.is_file()), None)


def _description(source: Path, notes: Notes) -> tuple[Path, list[str], dict[str, list[str]], bool]:
    """Return the root, the class names, the entries of each split, and whether labels have keypoints."""
    path = find_description(source) if source.is_dir() else source
    if path is None:
        raise InputError(
            f"{source} has no file that names the classes; looked for data.yaml, obj.data, {', '.join(CLASS_FILES)}"
        )
    if path.suffix in (".yaml", ".yml"):
        content = _yaml(path)
        if not isinstance(content, dict):
            raise InputError(f"{path} is not a data.yaml: it has no keys; write names, train and val")
        parts = {split: _entries(content, keys, path) for split, keys in YAML_SPLITS.items()}
        root = _root(content.get("path"), path, notes)
        names = _names(content.get("names"), path)
        if content.get("nc", len(names)) != len(names):
            notes.add(OTHER_COUNT, f"nc {short_repr(content['nc'])}, {counted(len(names), 'name')}")
        return root, names, parts, "kpt_shape" in content
    if path.suffix == ".data":
        return (path.parent, *_darknet(path), False)
    folder = path.parent
    names = _lines(path)
    images = "images" if (folder / "images").is_dir() else "."
    by_split = {split: [f"{images}/{split}"] for split in SPLITS if (folder / images / split).is_dir()}
    return folder, names, by_split or {"all": [images]}, False


def _yaml(path: Path, quiet: bool = False) -> Any:
    try:
        return yaml.safe_load(read_text(path, MAX_LABEL_BYTES))
    except InputError:
        if quiet:
            return None
        raise
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if quiet:
            return None
        raise InputError(f"{path} is not YAML: {str(error).splitlines()[0]}; correct it") from None


def _entries(content: Mapping[Any, Any], keys: Sequence[str], path: Path) -> list[str]:
    """Return the folders and lists of a split."""
    value: Any = next((content[key] for key in keys if content.get(key)), [])
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(one, str) for one in values):
        raise InputError(f"{path}: {keys[0]} is {short_repr(value)}, not a folder, a list file, or a list of them")
    return values


def _root(stated: Any, path: Path, notes: Notes) -> Path:
    """Return the folder that the entries are relative to: `path` of the file, relative to the file itself."""
    if stated is None or stated == "":
        return path.parent
    if not isinstance(stated, str):
        raise InputError(f"{path}: path is {short_repr(stated)}, not a folder")
    root = path.parent / stated.replace("\\", "/")
    if is_folder(root):
        return root
    notes.add(f"folders that data.yaml names as path and that do not exist: {{}}; {path.parent} is used", stated)
    return path.parent


def _names(value: Any, path: Path) -> list[str]:
    """Return the class names in order; numbers become their text."""
    if isinstance(value, dict):
        wanted = list(range(len(value)))
        if sorted(value, key=str) != sorted(wanted, key=str) or not all(type(key) is int for key in value):
            raise InputError(f"{path}: the keys of names are {first_few([str(key) for key in value])}, not 0, 1, 2 ...")
        value = [value[key] for key in wanted]
    if not isinstance(value, list) or not value:
        raise InputError(f"{path} has no names; list the classes, in the order of their numbers")
    names = [one if isinstance(one, str) else str(one) for one in value if type(one) in (str, int, float)]
    if len(names) < len(value) or not all(name.strip() for name in names):
        raise InputError(f"{path}: a name in {short_repr(value)} is empty or no text; name every class, in quotes")
    return names


def _darknet(path: Path) -> tuple[list[str], dict[str, list[str]]]:
    """Return the names and the list files of an obj.data, whose lines are key = value."""
    values = {
        key.strip(): value.strip() for key, equals, value in (line.partition("=") for line in _lines(path)) if equals
    }
    if "names" not in values:
        raise InputError(f"{path} has no line names = FILE; add it")
    names = _lines(_existing(path.parent, values["names"], path))
    parts = {
        split: [values[key]] for split, key in (("train", "train"), ("val", "valid"), ("test", "test")) if key in values
    }
    return names, parts


def _lines(path: Path) -> list[str]:
    return [line.strip() for line in read_text(path, MAX_LABEL_BYTES).splitlines() if line.strip()]


def _existing(root: Path, name: str, path: Path, notes: Notes | None = None) -> Path:
    """Return the path that an entry means: relative to `root`; without a first folder or ../ that is not there."""
    plain = name.replace("\\", "/")
    wanted = root / plain  # an absolute path stays as it is
    if exists(str(wanted)):
        return wanted
    rest = plain
    while "/" in rest:
        first, _, rest = rest.partition("/")
        if rest and exists(str(root / rest)):
            if first == ".." and notes is not None:
                notes.add(NO_PARENT, name)
            return root / rest
    raise InputError(f"{path} names {short_repr(name)}, which does not exist below {root}; correct the path")


def _images(entries: Sequence[str], root: Path, notes: Notes) -> list[Path]:
    """Return the image files of the entries of a split."""
    images: dict[Path, None] = {}
    for entry in entries:
        path = _existing(root, entry, root, notes)
        if is_folder(path):
            images |= dict.fromkeys(find_image_files(path, notes))
        elif path.suffix.lower() in KNOWN_SUFFIXES:
            images[path] = None
        else:  # a list of images, relative to itself where they begin with ./, as Ultralytics reads it
            for line in (line.replace("\\", "/") for line in _lines(path)):
                folder = path.parent if line.startswith("./") else root
                found = _existing(folder if exists(str(folder / line)) else root, line, path, notes)
                if is_folder(found):
                    raise InputError(f"{path} lists {short_repr(line)}, which is a folder; list image files")
                images[found] = None
    return [_absolute(image) for image in images]


def _absolute(path: Path) -> Path:
    """Return an absolute path without .., its links kept."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - Path.resolve follows links


def _read_labels(
    path: Path, image: int, names: Sequence[str], builder: Builder, size: Size, notes: Notes, keypoints: bool
) -> None:
    if not is_file(path):
        notes.add(BACKGROUND, path.name)
        return
    lines = read_text(path, MAX_LABEL_BYTES).splitlines()
    height, width = size
    for row, line in enumerate(lines):
        words = line.split()
        if not words:
            continue
        try:
            category, *values = _numbers(words[:5] if keypoints else words)
            left, top, right, bottom = _box(values, path, notes)
            box = left * width, top * height, right * width, bottom * height
            builder.add_box(image, _class(category, names), box)
        except ItemError as error:
            raise InputError(f"{path}, line {row + 1}, {error}; correct or remove the line") from None


def _is_label(path: Path) -> bool:
    try:
        return len(_numbers(read_text(path, MAX_LABEL_BYTES).partition("\n")[0].split())) >= 5
    except (InputError, ItemError):
        return False


def _numbers(words: Sequence[str]) -> list[float]:
    """Return the numbers of a line, all finite."""
    try:
        values = list(map(float, words))
    except ValueError:
        values = [math.nan]
    if not math.isfinite(sum(values)):
        return [number(word, "the value") for word in words]  # raises for the wrong one
    return values


def _class(value: float, names: Sequence[str]) -> str:
    if not 0 <= value < len(names) or value != int(value):
        raise ItemError(f"has the class {value:g}, which is none of the {counted(len(names), 'class')} from 0 on")
    return names[int(value)]


def _box(values: Sequence[float], path: Path, notes: Notes) -> Box:
    """Return the box of a line in fractions, xyxy."""
    if len(values) < 4 or (len(values) > 5 and len(values) % 2):
        raise ItemError(f"has {len(values) + 1} values; a box has 5, a polygon 7 or more, an odd number")
    if min(values) < -SLACK or max(values) > 1 + SLACK:
        wrong = next(value for value in values if not -SLACK <= value <= 1 + SLACK)
        raise ItemError(f"has {wrong:g}, which is not a fraction of the image, from 0 to 1")
    if len(values) == 5:
        notes.add(SCORES, path.name)
    if len(values) in (4, 5):
        x, y, width, height = values[:4]
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2
    notes.add(POLYGONS, path.name)
    return around(list(zip(values[::2], values[1::2], strict=True)))
