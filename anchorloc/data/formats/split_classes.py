"""Give all splits of a data set one list of classes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from anchorloc.data.class_names import doubled_names, match_all_names
from anchorloc.data.coco_reader import read_categories, take_objects
from anchorloc.data.formats.labels import LabeledData, Labels
from anchorloc.errors import InputError
from anchorloc.structures import Category
from anchorloc.text import first_few, short_repr


def with_one_list(data: LabeledData) -> LabeledData:
    """Return the data with the classes of the first split in all of them, matched by name.

    Raises:
        InputError: the names of the splits differ.
    """
    (first, labels), *_ = data.splits.items()
    categories = _categories(labels)
    splits = {first: labels}
    for split, other in list(data.splits.items())[1:]:
        own = _categories(other)
        places = match_all_names(categories, own, (first, split), "give all splits the same classes")
        ids = {own[place].id: category.id for category, place in zip(categories, places, strict=True)}
        annotations = [{**item, "category_id": ids[item["category_id"]]} for item in other.document["annotations"]]
        content = {"categories": labels.document["categories"], "annotations": annotations}
        splits[split] = replace(other, document=other.document | content)
    return replace(data, splits=splits)


def names_by_id(data: LabeledData, *, unique: bool = True) -> dict[Any, str]:
    """Return the class names by id.

    Raises:
        InputError: several classes have one name, which must be `unique`.
    """
    labels = next(iter(data.splits.values()))
    for name, some in doubled_names(_categories(labels)).items() if unique else ():
        ids = first_few([short_repr(category.id) for category in some])
        raise InputError(
            f"{labels.path} has several categories named {short_repr(name)}, with the ids {ids}, and this format has "
            "names alone; give each category its own name, or convert to coco or yolo"
        )
    return {item["id"]: item["name"] for item in labels.document["categories"]}


def _categories(labels: Labels) -> tuple[Category, ...]:
    return read_categories(take_objects(dict(labels.document), "categories", labels.path), labels.path)
