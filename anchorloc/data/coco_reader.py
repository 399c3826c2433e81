"""Check a COCO annotation file item by item, and store it as columns."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np

from anchorloc.data.coco_fields import (
    IGNORED_AREA,
    MAX_COORDINATE,
    Id,
    area_of,
    checked_box,
    checked_id,
    checked_name,
    index_of,
    is_crowd,
    is_difficult,
    whole_pixels,
)
from anchorloc.data.image_paths import check_file_name, name_of_url
from anchorloc.data.plain_columns import plain_boxes, plain_flags, plain_indices, plain_numbers
from anchorloc.errors import InputError, ItemError
from anchorloc.structures import BoolArray, Category, Float64Array, IntArray, Size, categories_of
from anchorloc.text import first_few, json_type, short_repr, shorten

T = TypeVar("T")
REQUIRED: Final = {  # item: the keys that it must have
    "category": ("id", "name"),
    "image": ("id", "file_name", "width", "height"),
    "annotation": ("image_id", "category_id", "bbox"),
    "detection": ("image_id", "category_id", "bbox", "score"),
}


@dataclass(frozen=True, eq=False)
class PackedStrings:
    """A column of N strings in two buffers, which forked loader workers share.

    Reading a list of strings counts references, so each worker would copy its pages.
    """

    data: bytes  # UTF-8
    ends: IntArray  # (N,) end of each string in `data`

    @classmethod
    def pack(cls, strings: Iterable[str]) -> PackedStrings:
        """Store the strings in their order."""
        parts = [string.encode("utf-8", "surrogatepass") for string in strings]
        return cls(b"".join(parts), np.cumsum([len(part) for part in parts], dtype=np.int64))

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, index: int) -> str:
        index = range(len(self.ends))[index]
        start = self.ends[index - 1] if index else 0
        return self.data[start : self.ends[index]].decode("utf-8", "surrogatepass")

    def tolist(self) -> list[str]:
        return [self[index] for index in range(len(self))]


Ids = IntArray | PackedStrings


@dataclass(frozen=True, eq=False)
class ImageColumns:
    """The N images of a file, in file order."""

    ids: Ids  # (N,)
    names: PackedStrings  # (N,)
    sizes: IntArray  # (N, 2) height and width


@dataclass(frozen=True, eq=False)
class BoxColumns:
    """The M annotations of a file, in file order."""

    images: IntArray  # (M,) index of the image
    boxes: Float64Array  # (M, 4) xyxy
    labels: IntArray  # (M,)
    crowd: BoolArray  # (M,)
    area: Float64Array  # (M,)
    ids: Ids  # (M,) as in the file, or rows from 0 if some annotation has no id
    without_crowd: int  # annotations without "iscrowd"
    without_area: int  # annotations without "area"
    difficult: int  # annotations that scoring ignores one to one


def id_at(ids: Ids, index: int) -> Id:
    """Return one id of a column as a Python int or str."""
    value = ids[index]
    return value if isinstance(value, str) else int(value)


def take_objects(document: Any, key: str, path: Path) -> list[dict[str, Any]]:
    """Remove a list of objects from a COCO document and return it; removal frees memory early.

    Raises:
        InputError: the document is not COCO annotations, or the list is missing or contains another type.
    """
    if not isinstance(document, dict):
        raise InputError(
            f"{path} contains {json_type(document)}, not an object with images, annotations and categories; "
            "give a COCO annotation file"
        )
    items = document.pop(key, None)
    if not isinstance(items, list):
        raise InputError(f"{path} has no list {key!r}; give a COCO annotation file")
    for row, item in enumerate(items):
        if type(item) is not dict:
            raise InputError(f"{path}: item {row} of {key!r} is {short_repr(item)}, not an object")
    return items


def read_categories(items: list[dict[str, Any]], path: Path) -> tuple[Category, ...]:
    """Check the categories and sort them by id; a label is an index in the result.

    Raises:
        InputError: the list is empty, or an id or a name is missing or empty, has a wrong type, or an id is not unique.
    """

    def category(item: dict[str, Any]) -> tuple[Id, str]:
        return checked_id(item.get("id")), checked_name(item.get("name"))

    if not items:
        raise InputError(f"{path} has no categories; list the classes of the objects")
    pairs = read_each(items, category, path, "category")
    _check_ids([category_id for category_id, _ in pairs], path, "category", "categories")
    return categories_of(sorted(pairs))


def read_images(items: list[dict[str, Any]], path: Path) -> ImageColumns:
    """Check the images; image files are not opened.

    Raises:
        InputError: the list is empty, or an id, a name or a size is missing or wrong, or an id is not unique.
    """

    def size(item: dict[str, Any]) -> Size:
        name = item.get("file_name")
        if type(name) is not str:
            raise ItemError(f"file_name {short_repr(name)} is not a string")
        check_file_name(name)
        return whole_pixels(item, "height"), whole_pixels(item, "width")

    if not items:
        raise InputError(f"{path} has no images; list at least one")
    ids = read_each(items, lambda item: checked_id(item.get("id")), path, "image")
    _check_ids(ids, path, "image", "images")
    sizes = np.array(read_each(items, size, path, "image"), np.int64).reshape(-1, 2)
    return ImageColumns(_column(ids), PackedStrings.pack(item["file_name"] for item in items), sizes)


def read_boxes(items: list[dict[str, Any]], image_ids: Ids, labels: dict[Id, int], path: Path) -> BoxColumns:
    """Check the annotations; `labels` maps category ids to labels. Masks and other keys are ignored.

    Raises:
        InputError: an annotation has an unknown image or category, an invalid box, area, iscrowd or id, or its id is
            not unique.
    """
    images = {image_id: index for index, image_id in enumerate(image_ids.tolist())}
    columns, values = _plain_columns(items, images, labels) or _checked_columns(items, images, labels, path)
    return BoxColumns(
        images=columns[:, 0].copy(),
        boxes=values[:, :4].copy(),
        labels=columns[:, 1].copy(),
        crowd=columns[:, 2].astype(np.bool_),
        area=values[:, 4].copy(),
        ids=_annotation_ids(items, path),
        without_crowd=sum(item.get("iscrowd") is None for item in items),
        without_area=sum(item.get("area") is None for item in items),
        difficult=sum(bool(item.get("difficult")) for item in items),
    )


def _plain_columns(
    items: list[dict[str, Any]], images: dict[Id, int], labels: dict[Id, int]
) -> tuple[IntArray, Float64Array] | None:
    """Return (image, label, crowd) and (x1, y1, x2, y2, area), or None where one must be looked at by itself."""
    image = plain_indices([item.get("image_id") for item in items], images)
    label = plain_indices([item.get("category_id") for item in items], labels)
    crowd = plain_flags([item.get("iscrowd") for item in items])
    difficult = plain_flags([item.get("difficult") for item in items])
    boxes, areas = plain_boxes(items), [item.get("area") for item in items]
    area = plain_numbers([0 if value is None else value for value in areas], 0, MAX_COORDINATE**2)
    if image is None or label is None or crowd is None or difficult is None or boxes is None or area is None:
        return None
    if not all(item.get("ignore") in (None, 0) for item in items):
        return None
    of_box = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    area = np.where([value is None for value in areas], of_box, area)
    area = np.where(difficult, IGNORED_AREA, area)
    return np.column_stack([image, label, crowd]), np.column_stack([boxes, area])


def _checked_columns(
    items: list[dict[str, Any]], images: dict[Id, int], labels: dict[Id, int], path: Path
) -> tuple[IntArray, Float64Array]:
    """Return what `_plain_columns` does, annotation by annotation; a wrong one is named."""
    numbers, indices = array("d"), array("q")

    def add(item: dict[str, Any]) -> None:
        box = checked_box(item.get("bbox"))
        numbers.extend(box)
        area = area_of(item.get("area"), box)
        numbers.append(IGNORED_AREA if is_difficult(item) else area)
        indices.append(index_of(item.get("image_id"), images, "image_id", "correct the id, or list the image"))
        indices.append(index_of(item.get("category_id"), labels, "category_id", "correct the id, or list the category"))
        indices.append(is_crowd(item))

    read_each(items, add, path, "annotation")
    return np.array(indices, np.int64).reshape(-1, 3), np.array(numbers, np.float64).reshape(-1, 5)


def read_each(items: Sequence[Any], read: Callable[[Any], T], path: Path, what: str) -> list[T]:
    """Return `read(item)` for each item.

    Raises:
        InputError: `read` raises an ItemError; the message names the path, the id and the row from 0.
    """
    values = []
    for row, item in enumerate(items):
        try:
            values.append(read(item))
        except ItemError as error:
            item_id = item.get("id") if type(item) is dict else None
            name = f"{what} {short_repr(item_id)}" if type(item_id) in (int, str) else what
            missing = _missing_key(item, what, path)
            raise InputError(f"{path}: {name} (item {row}){missing or f': {error}'}") from None
    return values


def _missing_key(item: Any, what: str, path: Path) -> str:
    """Return what to say of the first required key that an item lacks; "" if it has all."""
    key = next((key for key in REQUIRED[what] if key not in item), None) if type(item) is dict else None
    if key is None:
        return ""
    if key == "file_name" and (name := name_of_url(item.get("coco_url"))):
        return f" has no file_name; `anchorloc doctor {path} --fix OUT` takes {short_repr(name)} from its coco_url"
    return f" has no {key}; its keys are {first_few([shorten(one) for one in item], 8) or 'none'}"


def _annotation_ids(items: list[dict[str, Any]], path: Path) -> Ids:
    if any(item.get("id") is None for item in items):
        return np.arange(len(items))
    ids = read_each(items, lambda item: checked_id(item["id"]), path, "annotation")
    _check_ids(ids, path, "annotation", "annotations")
    return _column(ids)


def _check_ids(ids: list[Id], path: Path, what: str, whats: str) -> None:
    texts = [value for value in ids if type(value) is str]
    if texts and len(texts) < len(ids):
        number = next(value for value in ids if type(value) is not str)
        raise InputError(
            f"{path}: the ids of its {whats} mix integers, such as {number!r}, and strings, such as "
            f"{short_repr(texts[0])}; use one type"
        )
    if len(set(ids)) == len(ids):
        return
    repeated = [short_repr(value) for value, count in Counter(ids).items() if count > 1]
    raise InputError(f"{path}: {what} id {first_few(repeated)} is not unique; give each {what} its own id")


def _column(ids: list[Id]) -> Ids:
    if ids and type(ids[0]) is str:
        return PackedStrings.pack(map(str, ids))
    return np.array(ids, np.int64)
