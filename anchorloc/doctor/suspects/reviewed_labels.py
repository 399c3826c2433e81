"""Take over the labels that a person has corrected in the folder `review`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from anchorloc.boxes import box_convert, clip_boxes_to_image
from anchorloc.data import read
from anchorloc.doctor.document import CocoDocument
from anchorloc.doctor.suspects.review_labels import MARK
from anchorloc.errors import InputError
from anchorloc.text import did_you_mean, short_repr

SAME: Final = 0.01  # px: a box that moved less is the same
Item = dict[str, Any]


def with_reviewed(document: CocoDocument, folder: Path) -> tuple[CocoDocument, int]:
    """Return the document with the boxes of a LabelMe folder in place of its own, and the number of these images.

    A box of the same place and class stays as it is in the document, with its id and mask; crowd boxes stay too.

    Raises:
        InputError: a box is still marked as a suspect, or an image or a class is not in the document.
    """
    reviewed = next(iter(read(folder, "labelme").splits.values())).document
    names = {item["id"]: item["name"] for item in reviewed["categories"]}
    ids = {item.get("name"): item.get("id") for item in document.items("categories")}
    images = {item.get("file_name"): item for item in document.items("images")}
    own: dict[Any, list[Item]] = {}
    for item in document.items("annotations"):
        own.setdefault(item.get("image_id"), []).append(item)
    corrected: dict[Any, list[Item]] = {}
    name_of = {item["id"]: item["file_name"] for item in reviewed["images"]}
    for image, name in name_of.items():
        if name not in images:
            raise InputError(f"{folder}: the image {short_repr(name)} is not among the labels; remove its file")
        corrected[image] = [item for item in own.get(images[name]["id"], []) if item.get("iscrowd")]
    for item in reviewed["annotations"]:
        name, label = name_of[item["image_id"]], names[item["category_id"]]
        if label not in ids:
            raise InputError(
                f"{folder}: the image {short_repr(name)} has a box {short_repr(label)}; {_advice(label, ids)}"
            )
        new = {"image_id": images[name]["id"], "category_id": ids[label], "bbox": item["bbox"], "area": item["area"]}
        same = (one for one in own.get(new["image_id"], []) if _is_same(one, new, images[name]))
        corrected[item["image_id"]].append(next(same, {**new, "iscrowd": 0}))
    replaced = {images[name]["id"] for name in name_of.values()}
    free = max((item["id"] for item in document.items("annotations") if type(item.get("id")) is int), default=0)
    annotations = [item for item in document.items("annotations") if item.get("image_id") not in replaced]
    for item in (one for some in corrected.values() for one in some):
        free += "id" not in item
        annotations.append(item if "id" in item else {"id": free, **item})
    return document.with_content({**document.content, "annotations": annotations}), len(name_of)


def _is_same(one: Item, new: Item, image: Item) -> bool:
    if one.get("iscrowd") or one.get("category_id") != new["category_id"]:
        return False
    corners = [box_convert(np.array([item["bbox"]], np.float64), "xywh", "xyxy") for item in (one, new)]
    clipped = clip_boxes_to_image(corners[0], (image["height"], image["width"]))  # as suspects are drawn
    return bool((np.abs(clipped - corners[1]) <= SAME).all())


def _advice(label: str, ids: dict[Any, Any]) -> str:
    if label.startswith(MARK):
        return "rename a box that is right to its class, and delete the others"
    return f"it is no class; {did_you_mean(label, [name for name in ids if isinstance(name, str)])}"
