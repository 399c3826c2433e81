"""Labels of any format as COCO documents, one for each split."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from anchorloc.errors import InputError, ItemError
from anchorloc.structures import Float64Array, Size
from anchorloc.text import counted, first_few, short_repr

SPLITS: Final = {  # split: the names that tools give it, as parts of file and folder names
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
ORDER: Final = ("all", *SPLITS)
Box = tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class Labels:
    """The labels of one split."""

    path: Path  # the file or folder that was read
    document: dict[str, Any]  # COCO: images, categories and annotations
    folder: Path  # the images folder, to which file_name is relative


@dataclass(frozen=True, eq=False)
class LabeledData:
    """The labels of a data set in any format; the splits of COCO files may have different categories."""

    format: str  # name of the format, such as Pascal VOC
    splits: dict[str, Labels]  # by "train", "val" or "test"; a single unnamed split is "all"
    notes: tuple[str, ...] = ()  # one sentence on each thing that was not read as written

    def describe(self) -> str:
        """Return one line: the format, and the numbers of classes and images."""
        first = next(iter(self.splits.values()))
        classes = counted(len(first.document["categories"]), "class")
        images = [(name, len(one.document["images"])) for name, one in self.splits.items()]
        shown = ", ".join(f"{number:,}" + ("" if name == "all" else f" {name}") for name, number in images)
        return f"{self.format}: {classes}, {shown} {'image' if sum(number for _, number in images) == 1 else 'images'}"

    def place(self) -> str:
        """Return where the images are read from."""
        folders = dict.fromkeys(str(one.folder) for one in self.splits.values())
        return f"images are read from {' and '.join(folders)}"


@dataclass(eq=False)
class Notes:
    """What was not read as written: the number and an example of each kind."""

    found: dict[str, tuple[int, str]] = field(default_factory=dict)

    def add(self, kind: str, example: str, number: int = 1) -> None:
        """Count more of a kind; `kind` is a sentence with {} for the number."""
        before, first = self.found.get(kind, (0, example))
        self.found[kind] = before + number, first

    def sentences(self) -> tuple[str, ...]:
        """Return a sentence on each kind."""
        return tuple(f"{kind.format(f'{count:,}')} (first: {example})" for kind, (count, example) in self.found.items())


MAX_FLOAT: Final = sys.float_info.max
POLYGONS: Final = "polygons without a box: {}; the box around their points is used"
ROTATED: Final = "rotated rectangles: {}; the upright box around each is loose"
NO_AREA: Final = "points and lines, which have no box: {}; they are left out"


class Builder:
    """Collect the images and boxes of a split.

    Args:
        categories: ids by name, shared by all splits of a data set; names are added as they appear.
        names: the names by id from 1, if the keys of `categories` are numbers.
    """

    def __init__(self, categories: dict[str, int], names: Sequence[str] = ()) -> None:
        self.categories = categories
        self.names = names
        self.images: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any]] = []

    def add_image(self, name: str, size: Size) -> int:
        """Add an image by its name below the images folder; return its id."""
        self.images.append({"id": len(self.images) + 1, "file_name": name, "width": size[1], "height": size[0]})
        return len(self.images)

    def add_box(self, image: int, category: str, box: Box, *, difficult: bool = False, crowd: bool = False) -> None:
        """Add an xyxy box in pixels.

        Raises:
            ItemError: a number is not finite, or a corner is on the wrong side.
        """
        left, top, right, bottom = box
        width, height = right - left, bottom - top
        area = width * height
        if not (width >= 0 and height >= 0 and area < math.inf):  # NaN is none of these
            if not math.isfinite(area):
                raise ItemError(f"has a box that is not finite: {short_repr(box)}")
            raise ItemError(f"has a box whose second corner is left of or above the first: {short_repr(box)}")
        annotation: dict[str, Any] = {
            "id": len(self.annotations) + 1,
            "image_id": image,
            "category_id": self.categories.get(category) or self.category(category),
            "bbox": [left, top, width, height],
            "area": area,
            "iscrowd": 1 if crowd else 0,
        }
        if difficult:
            annotation["difficult"] = 1
        self.annotations.append(annotation)

    def add_boxes(
        self, images: Sequence[int], categories: Sequence[str], corners: Sequence[Sequence[float] | Float64Array]
    ) -> None:
        """Add M boxes whose left, top, right and bottom are the four (M,) columns `corners`, or none of them.

        Raises:
            ItemError: as `add_box`.
        """
        left, top, right, bottom = np.array(corners, np.float64)  # (M,) each
        width, height = right - left, bottom - top
        area = width * height
        if not ((width >= 0) & (height >= 0) & (area < math.inf)).all():
            raise ItemError("has a box that is not finite, or whose corners are exchanged")
        ids = {name: self.categories.get(name) or self.category(name) for name in dict.fromkeys(categories)}
        boxes = np.stack([left, top, width, height], axis=1).tolist()
        columns = zip(images, map(ids.__getitem__, categories), boxes, area.tolist(), strict=True)
        self.annotations += [
            {"id": number, "image_id": image, "category_id": category, "bbox": box, "area": square, "iscrowd": 0}
            for number, (image, category, box, square) in enumerate(columns, len(self.annotations) + 1)
        ]

    def category(self, name: str) -> int:
        """Return the id of a class.

        Raises:
            ItemError: the name is empty.
        """
        if not name.strip():
            raise ItemError("has a class without a name")
        return self.categories.setdefault(name, len(self.categories) + 1)

    def document(self) -> dict[str, Any]:
        """Return the COCO document."""
        shown = dict(enumerate(self.names, 1))
        categories = [{"id": number, "name": shown.get(number, key)} for key, number in self.categories.items()]
        return {"images": self.images, "categories": categories, "annotations": self.annotations}


def files_by_split(source: Path, files: Sequence[Path], what: str) -> dict[str, Path]:
    """Return the file of each split, by its name or the folders below `source`; a single file is "all".

    Raises:
        InputError: there is no file, or several could be meant.
    """
    if source.is_file():
        return {"all": source}
    by_split: dict[str, list[Path]] = {}
    for path in files:
        split = split_of(path.stem) or split_of_folders(path, source)
        by_split.setdefault(split or "all", []).append(path)
    several = any(len(paths) > 1 for paths in by_split.values())
    if not files or several or ("all" in by_split and len(by_split) > 1):
        shown = first_few([str(path.relative_to(source)) for path in files]) or "none"
        raise InputError(f"{source} must hold one {what}, or one for each of train, val and test; it has {shown}")
    return {split: by_split[split][0] for split in ORDER if split in by_split}


def around(points: Sequence[tuple[float, float]]) -> Box:
    """Return the box around points (x, y)."""
    columns, rows = zip(*points, strict=True)
    return min(columns), min(rows), max(columns), max(rows)


def around_ellipse(center: tuple[float, float], radii: tuple[float, float], radians: float) -> Box:
    """Return the box around an ellipse that is rotated about its center."""
    cosine, sine = math.cos(radians), math.sin(radians)
    wide = math.hypot(radii[0] * cosine, radii[1] * sine)
    high = math.hypot(radii[0] * sine, radii[1] * cosine)
    return center[0] - wide, center[1] - high, center[0] + wide, center[1] + high


def number(text: Any, what: str) -> float:
    """Return a finite number.

    Raises:
        ItemError: it is not one.
    """
    if type(text) in (float, int) and -MAX_FLOAT <= text <= MAX_FLOAT:
        return float(text)
    try:
        value = float(text)
    except (TypeError, ValueError, OverflowError):
        raise ItemError(f"has {what} {short_repr(text)}, which is not a number") from None
    if isinstance(text, bool) or not math.isfinite(value):
        raise ItemError(f"has {what} {short_repr(text)}, which is not a finite number")
    return value


def whole_size(height: Any, width: Any) -> Size:
    """Return a declared (height, width).

    Raises:
        ItemError: it is not in whole pixels.
    """
    values = number(height, "the height"), number(width, "the width")
    if any(value < 1 or value != int(value) for value in values):
        raise ItemError(f"has the size {short_repr(width)} x {short_repr(height)}, which is not in whole pixels")
    return int(values[0]), int(values[1])


def rotated(center: tuple[float, float], size: tuple[float, float], degrees: float) -> list[tuple[float, float]]:
    """Return the corners of a rectangle that is rotated clockwise about its center."""
    angle = math.radians(degrees)
    cosine, sine = math.cos(angle), math.sin(angle)
    corners = [(x * size[0] / 2, y * size[1] / 2) for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    return [(center[0] + x * cosine - y * sine, center[1] + x * sine + y * cosine) for x, y in corners]


def split_of(name: str) -> str | None:
    """Return the split that a file or folder name speaks of: train, val, test, or None.

    >>> split_of("instances_train2017"), split_of("valid"), split_of("contest")
    ('train', 'val', None)
    """
    words = "".join(letter if letter.isalpha() else " " for letter in name.lower()).split()
    found = {split for split, names in SPLITS.items() if any(word in names for word in words)}
    return found.pop() if len(found) == 1 else None


def split_of_folders(path: Path, root: Path) -> str | None:
    """Return the split that a folder between `root` and a file speaks of, the outermost first, or None."""
    return next(filter(None, map(split_of, path.relative_to(root).parts[:-1])), None)
