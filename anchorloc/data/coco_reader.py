"""COCO annotation files: checked item by item, then kept as columns."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from anchorloc.data.coco_fields import Id, area_of, checked_box, checked_id, is_crowd, known, whole_pixels
from anchorloc.data.image_paths import check_file_name
from anchorloc.data.item_error import ItemError, json_type
from anchorloc.data.packed import PackedStrings
from anchorloc.errors import InputError
from anchorloc.structures import BoolArray, Category, IntArray
from anchorloc.text import first_few, short_repr

Ids = IntArray | PackedStrings
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class ImageColumns:
    """The N images of a file, in its order."""

    ids: Ids  # (N,)
    names: PackedStrings  # (N,)
    sizes: IntArray  # (N, 2) height, width


@dataclass(frozen=True, eq=False)
class BoxColumns:
    """The M annotations of a file, in its order."""

    images: IntArray  # (M,) place of the image
    boxes: NDArray[np.float64]  # (M, 4) xyxy
    labels: IntArray  # (M,)
    crowd: BoolArray  # (M,)
    area: NDArray[np.float64]  # (M,)
    ids: Ids  # (M,) as in the file, or the rows from 0 where it gives none
    without_crowd: int  # annotations that lacked "iscrowd"
    without_area: int


def id_at(ids: Ids, index: int) -> Id:
    """Return one id of a column as Python's own type."""
    value = ids[index]
    return value if isinstance(value, str) else int(value)


def objects(document: Any, key: str, path: Path) -> list[dict[str, Any]]:
    """Take a list of objects out of a COCO document, out of which it is removed to free memory early.

    Raises:
        InputError: the document is not COCO annotations, or the list is missing or holds something else.
    """
    if not isinstance(document, dict):
        raise InputError(
            f"{path} holds {json_type(document)}, not an object with images, annotations and categories; "
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
    """Check the categories and order them by id, which makes their labels.

    Raises:
        InputError: there is none, or an id or a name is missing, of a wrong type or given twice.
    """

    def category(item: dict[str, Any]) -> Category:
        name = item.get("name")
        if type(name) is not str:
            raise ItemError(f"name {short_repr(name)} is not a string")
        return Category(checked_id(item.get("id")), name)

    if not items:
        raise InputError(f"{path} has no categories; list the classes of the objects")
    categories = each(items, category, path, "category")
    ids = [category.id for category in categories]
    _check_ids(ids, path, "category", "categories")
    return tuple(sorted(categories, key=lambda category: category.id))


def read_images(items: list[dict[str, Any]], path: Path) -> ImageColumns:
    """Check the images; of their files only the names.

    Raises:
        InputError: there is none, or an id, a name or a size is missing, wrong or, of ids, given twice.
    """

    def size(item: dict[str, Any]) -> tuple[int, int]:
        name = item.get("file_name")
        if type(name) is not str:
            raise ItemError(f"file_name {short_repr(name)} is not a string")
        check_file_name(name)
        return whole_pixels(item, "height"), whole_pixels(item, "width")

    if not items:
        raise InputError(f"{path} has no images; list at least one")
    ids = each(items, lambda item: checked_id(item.get("id")), path, "image")
    _check_ids(ids, path, "image", "images")
    sizes = np.array(each(items, size, path, "image"), np.int64).reshape(-1, 2)
    return ImageColumns(_column(ids), PackedStrings.pack(item["file_name"] for item in items), sizes)


def read_boxes(items: list[dict[str, Any]], image_ids: Ids, labels: dict[Id, int], path: Path) -> BoxColumns:
    """Check the annotations; `labels` maps category ids to labels. Masks and other keys are ignored.

    Raises:
        InputError: one names an unknown image or category, has a bad box, area, iscrowd or id, or an id that
            another one has.
    """
    images = {image_id: index for index, image_id in enumerate(image_ids.tolist())}
    numbers, places = array("d"), array("q")

    def add(item: dict[str, Any]) -> None:
        box = checked_box(item.get("bbox"))
        numbers.extend(box)
        numbers.append(area_of(item.get("area"), box))
        places.append(known(item.get("image_id"), images, "image_id"))
        places.append(known(item.get("category_id"), labels, "category_id"))
        places.append(is_crowd(item))

    each(items, add, path, "annotation")
    columns = np.array(places, np.int64).reshape(-1, 3)
    values = np.array(numbers, np.float64).reshape(-1, 5)
    return BoxColumns(
        images=columns[:, 0].copy(),
        boxes=values[:, :4].copy(),
        labels=columns[:, 1].copy(),
        crowd=columns[:, 2].astype(np.bool_),
        area=values[:, 4].copy(),
        ids=_annotation_ids(items, path),
        without_crowd=sum(item.get("iscrowd") is None for item in items),
        without_area=sum(item.get("area") is None for item in items),
    )


def each(items: Sequence[Any], read: Callable[[Any], T], path: Path, what: str) -> list[T]:
    """Return `read(item)` of every item.

    Raises:
        InputError: one has an ItemError; named by the path, its id and its place, from 0.
    """
    values = []
    for row, item in enumerate(items):
        try:
            values.append(read(item))
        except ItemError as error:
            item_id = item.get("id") if type(item) is dict else None
            name = f"{what} {short_repr(item_id)}" if type(item_id) in (int, str) else what
            raise InputError(f"{path}: {name} (item {row}): {error}") from None
    return values


def _annotation_ids(items: list[dict[str, Any]], path: Path) -> Ids:
    if any(item.get("id") is None for item in items):
        return np.arange(len(items))
    ids = each(items, lambda item: checked_id(item["id"]), path, "annotation")
    _check_ids(ids, path, "annotation", "annotations")
    return _column(ids)


def _check_ids(ids: list[Id], path: Path, what: str, whats: str) -> None:
    texts = [value for value in ids if type(value) is str]
    if texts and len(texts) < len(ids):
        number = next(value for value in ids if type(value) is not str)
        raise InputError(
            f"{path}: the ids of its {whats} mix integers, such as {number!r}, and strings, such as "
            f"{short_repr(texts[0])}; use one kind"
        )
    if len(set(ids)) == len(ids):
        return
    seen: set[Id] = set()
    twice = {value: None for value in ids if value in seen or seen.add(value)}  # type: ignore[func-returns-value]
    raise InputError(
        f"{path}: {what} id {first_few([short_repr(value) for value in twice])} is given twice; ids are unique"
    )


def _column(ids: list[Id]) -> Ids:
    if ids and type(ids[0]) is str:
        return PackedStrings.pack(map(str, ids))
    return np.array(ids, np.int64)
