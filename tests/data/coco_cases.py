"""Annotation files that training refuses, and random changes of good ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from tests.data.data_sets import document

Change = Callable[[dict[str, Any]], object]


def in_annotation(**changes: Any) -> Change:
    return lambda content: content["annotations"][2].update(changes)


def in_image(**changes: Any) -> Change:
    return lambda content: content["images"][1].update(changes)


def in_category(**changes: Any) -> Change:
    return lambda content: content["categories"][0].update(changes)


def without(*keys: Any) -> Change:
    def remove(content: Any) -> None:
        for key in keys[:-1]:
            content = content[key]
        del content[keys[-1]]

    return remove


BAD: dict[str, tuple[Change, list[str]]] = {
    "no images key": (without("images"), ["images"]),
    "no annotations key": (without("annotations"), ["annotations"]),
    "no categories key": (without("categories"), ["categories"]),
    "images is an object": (lambda c: c.update(images={}), ["images"]),
    "an image is a number": (lambda c: c.update(images=[5]), ["item 0", "images", "5"]),
    "no images": (lambda c: c.update(images=[], annotations=[]), ["no images"]),
    "no categories": (lambda c: c.update(categories=[], annotations=[]), ["no categories"]),
    "image without id": (
        without("images", 1, "id"),
        ["image (item 1) has no id; its keys are file_name, height, width"],
    ),
    "image without name": (
        without("images", 1, "file_name"),
        ["image 2 (item 1) has no file_name; its keys are id, height, width"],
    ),
    "image without width": (
        without("images", 1, "width"),
        ["image 2 (item 1) has no width; its keys are id, file_name, height"],
    ),
    "height 0": (in_image(height=0), ["image 2", "height 0"]),
    "half a pixel": (in_image(height=24.5), ["image 2", "height 24.5"]),
    "width is text": (in_image(width="32"), ["image 2", "width '32'"]),
    "width is true": (in_image(width=True), ["image 2", "width True"]),
    "endless width": (in_image(width=1e300), ["image 2", "width 1e+300"]),
    "image id twice": (in_image(id=1), ["image id 1", "not unique"]),
    "mixed image ids": (in_image(id="2"), ["mix", "1", "'2'"]),
    "image id is a float": (in_image(id=2.0), ["item 1", "id 2.0 is a decimal number; write 2"]),
    "image id is null": (in_image(id=None), ["item 1", "None"]),
    "image id beyond 64 bits": (in_image(id=2**63), ["item 1", "64-bit"]),
    "name is a number": (in_image(file_name=5), ["image 2", "file_name 5"]),
    "name is empty": (in_image(file_name=""), ["image 2", "file_name ''"]),
    "absolute name": (in_image(file_name="/etc/hostname"), ["image 2", "/etc/hostname"]),
    "climbing name": (in_image(file_name="a/../../b.png"), ["image 2", "a/../../b.png"]),
    "climbing Windows name": (in_image(file_name="a\\..\\..\\b.png"), ["image 2", "b.png"]),
    "name with a drive": (in_image(file_name="C:\\b.png"), ["image 2", "b.png"]),
    "name with a null byte": (in_image(file_name="b\0.png"), ["image 2", "null byte"]),
    "name that is no text": (in_image(file_name="b\ud800.png"), ["image 2", "not valid text"]),
    "category id twice": (in_category(id=3), ["category id 3", "not unique"]),
    "mixed category ids": (in_category(id="7"), ["mix", "3", "'7'"]),
    "category without id": (without("categories", 0, "id"), ["category (item 0) has no id; its keys are name"]),
    "category without name": (without("categories", 0, "name"), ["category 7 (item 0) has no name; its keys are id"]),
    "category name is a number": (in_category(name=5), ["category 7", "name 5"]),
    "category name is empty": (in_category(name=""), ["category 7", "name ''"]),
    "category name is blank": (in_category(name=" "), ["category 7", "name ' '"]),
    "no box": (without("annotations", 2, "bbox"), ["annotation 13 (item 2) has no bbox; its keys are id, image_id"]),
    "box of three": (in_annotation(bbox=[1, 2, 3]), ["annotation 13", "[1, 2, 3]"]),
    "box of text": (in_annotation(bbox=[1, 2, 3, "4"]), ["annotation 13", "[1, 2, 3, '4']"]),
    "box with true": (in_annotation(bbox=[1, 2, 3, True]), ["annotation 13", "True"]),
    "box with null": (in_annotation(bbox=[1, 2, None, 4]), ["annotation 13", "None"]),
    "nested box": (in_annotation(bbox=[[1, 2, 3, 4]]), ["annotation 13", "[[1, 2, 3, 4]]"]),
    "negative width": (in_annotation(bbox=[1, 2, -3, 4]), ["annotation 13", "-3", "negative"]),
    "negative height": (in_annotation(bbox=[1, 2, 3, -0.5]), ["annotation 13", "-0.5", "negative"]),
    "box too far": (in_annotation(bbox=[1.1e7, 2, 3, 4]), ["annotation 13", "11000000.0", "10,000,000"]),
    "box too far left": (in_annotation(bbox=[-1.1e7, 2, 3, 4]), ["annotation 13", "-11000000.0"]),
    "huge integer": (in_annotation(bbox=[1, 2, 10**250, 4]), ["annotation 13"]),
    "unknown category": (in_annotation(category_id=4), ["annotation 13", "category_id 4"]),
    "category of another type": (in_annotation(category_id="7"), ["annotation 13", "category_id '7'", "is a string"]),
    "category is true": (in_annotation(category_id=True), ["annotation 13", "category_id True"]),
    "no category": (
        without("annotations", 2, "category_id"),
        ["annotation 13 (item 2) has no category_id; its keys are id, image_id"],
    ),
    "unknown image": (in_annotation(image_id=4), ["annotation 13", "image_id 4"]),
    "image id is a float in an annotation": (
        in_annotation(image_id=2.0),
        ["annotation 13", "image_id 2.0 is a decimal number, but the annotated ids are integers; write 2"],
    ),
    "image is a list": (in_annotation(image_id=[1]), ["annotation 13", "image_id [1]"]),
    "annotation id twice": (in_annotation(id=11), ["annotation id 11", "not unique"]),
    "mixed annotation ids": (in_annotation(id="13"), ["mix", "11", "'13'"]),
    "annotation id is a float": (in_annotation(id=1.5), ["item 2", "1.5"]),
    "iscrowd 2": (in_annotation(iscrowd=2), ["annotation 13", "iscrowd 2"]),
    "iscrowd is text": (in_annotation(iscrowd="0"), ["annotation 13", "iscrowd '0'"]),
    "ignored, not crowd": (in_annotation(iscrowd=0, ignore=1), ["annotation 13", "ignore 1"]),
    "negative area": (in_annotation(area=-1), ["annotation 13", "area -1"]),
    "area is text": (in_annotation(area="400"), ["annotation 13", "area '400'"]),
    "endless area": (in_annotation(area=1e300), ["annotation 13", "area 1e+300"]),
}


PLACES: list[tuple[Any, ...]] = [
    ("images",), ("images", 0), ("annotations",), ("annotations", 1), ("categories",), ("categories", 0),
    *[("images", 0, key) for key in document()["images"][0]],
    *[("annotations", 1, key) for key in document()["annotations"][1]],
    *[("annotations", 1, "bbox", place) for place in range(4)],
    *[("categories", 0, key) for key in ("id", "name")],
]  # fmt: skip


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
