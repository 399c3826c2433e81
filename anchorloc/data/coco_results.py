"""Read detections from a COCO result file."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from anchorloc.data.class_names import Sides, doubled_names, match_all_names, match_names
from anchorloc.data.coco_fields import Id, checked_box, index_of
from anchorloc.data.coco_reader import id_at, read_categories, read_each, read_images, take_objects
from anchorloc.data.formats.labels import Labels
from anchorloc.data.plain_columns import plain_boxes, plain_indices, plain_numbers
from anchorloc.data.source import Annotations
from anchorloc.errors import InputError, ItemError
from anchorloc.files import read_json
from anchorloc.structures import Category, Detections, Float64Array, FloatArray, IntArray
from anchorloc.text import counted, json_type, short_repr

COLUMNS = 7  # image, label, x1, y1, x2, y2, score
ADVICE = "give the annotations that these detections belong to"
SIDES: Sides = ("the detections", "the annotations")


def read_results(path: Path, source: Annotations, notes: list[str] | None = None) -> list[Detections]:
    """Read a COCO result file, a list of {image_id, category_id, bbox, score}; other keys are ignored.

    Where the detections name their classes, names decide and not ids: by a `category_name` of each, or in a document
    with the lists annotations, whose items have scores, and categories.

    Returns the detections of each image of `source`, in its order, by descending score. Equal scores keep file order.

    Args:
        path: the file.
        source: the annotations that the detections belong to.
        notes: a sentence is appended if names and ids differ.

    Raises:
        InputError: the file is not such a list, or a detection has an image or a category that `source` lacks, an
            invalid box, or a score outside [0, 1].
    """
    images = [source.image_id(index) for index in range(len(source))]
    names = [source.name(index) for index in range(len(source))]
    table = _read_table(path, images, names, source.categories, notes)
    starts = np.searchsorted(table[:, 0], np.arange(len(images) + 1))
    return [_detections(table[start:end], images[index]) for index, (start, end) in enumerate(pairwise(starts))]


def result_rows(
    image_id: Id, boxes: FloatArray, scores: FloatArray, labels: IntArray, categories: Sequence[Category]
) -> list[dict[str, Any]]:
    """Return the detections of an image as rows of COCO's result format.

    Boxes (N, 4) xyxy become x, y, width, height, rounded to 0.001 px; scores (N,) are rounded to 1e-6.
    """
    return [
        {
            "image_id": image_id,
            "category_id": categories[label].id,
            "bbox": [round(x1, 3), round(y1, 3), round(x2 - x1, 3), round(y2 - y1, 3)],
            "score": round(score, 6),
        }
        for (x1, y1, x2, y2), score, label in zip(boxes.tolist(), scores.tolist(), labels.tolist(), strict=True)
    ]


def with_detections(labels: Labels, path: Path, lowest: float | None = None) -> Labels:
    """Return labels with the detections of a COCO result file in place of their boxes, each with its score.

    Args:
        labels: give the images and the classes.
        path: the result file.
        lowest: leave out detections of a lower score.

    Raises:
        InputError: as `read_results`, or there is no detection.
    """
    items = {key: take_objects(dict(labels.document), key, labels.path) for key in ("images", "categories")}
    columns, categories = read_images(items["images"], labels.path), read_categories(items["categories"], labels.path)
    images = [id_at(columns.ids, index) for index in range(len(columns.sizes))]
    table = _read_table(path, images, columns.names.tolist(), categories, None)
    if not len(table):
        raise InputError(f"{path} has no detections; lower decode.score_threshold of predict")
    if lowest is not None:
        table = table[table[:, -1] >= lowest]
        if not len(table):
            raise InputError(f"{path} has no detections of score >= {lowest:g}; give a lower --score")
    annotations = [
        {
            "id": number,
            "image_id": images[int(image)],
            "category_id": categories[int(label)].id,
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "area": (x2 - x1) * (y2 - y1),
            "iscrowd": 0,
            "score": score,
        }
        for number, (image, label, x1, y1, x2, y2, score) in enumerate(table.tolist(), 1)
    ]
    return replace(labels, document={**labels.document, "annotations": annotations})


def _read_table(
    path: Path,
    image_ids: Sequence[Id],
    names: Sequence[str],
    categories: tuple[Category, ...],
    notes: list[str] | None,
) -> Float64Array:
    """Return the detections (N, COLUMNS) by image and descending score; `names` of the image files appear in errors."""
    content = read_json(path, nan_literals=[])  # the checks below refuse NaN and name the detection
    items = _scored_annotations(content) or content
    if not isinstance(items, list):
        raise InputError(f"{path} contains {json_type(content)}, not a list of detections; give a COCO result file")
    labels: dict[Id, int] = {category.id: label for label, category in enumerate(categories)}
    if items is not content:
        labels = _labels_of_categories(content, path, categories)
    images = {image_id: index for index, image_id in enumerate(image_ids)}
    table = _plain_table(items, images, labels) if items is content else None
    if table is None:
        table = _checked_table(items, path, images, names, categories, labels, notes)
    return table[np.lexsort((-table[:, 6], table[:, 0]))]  # stable


def _plain_table(items: list[Any], images: dict[Id, int], labels: dict[Id, int]) -> Float64Array | None:
    """Return the detections (N, COLUMNS), or None where one must be looked at by itself."""
    if not {dict}.issuperset(map(type, items)) or any("category_name" in item for item in items):
        return None
    image = plain_indices([item.get("image_id") for item in items], images)
    label = plain_indices([item.get("category_id") for item in items], labels)
    boxes, scores = plain_boxes(items), plain_numbers([item.get("score") for item in items], 0, 1)
    if image is None or label is None or boxes is None or scores is None:
        return None
    return np.column_stack([image, label, boxes, scores])


def _checked_table(
    items: list[Any],
    path: Path,
    images: dict[Id, int],
    names: Sequence[str],
    categories: tuple[Category, ...],
    labels: dict[Id, int],
    notes: list[str] | None,
) -> Float64Array:
    """Return what `_plain_table` does, detection by detection; a wrong one is named."""
    label_of = _label_reader(categories, labels, _class_advice(items, list(labels)))
    values = array("d")  # COLUMNS numbers of each detection

    def add(item: Any) -> None:
        if type(item) is not dict:
            raise ItemError(f"{short_repr(item)} is not an object")
        image_id = item.get("image_id")
        known = type(image_id) in (int, str) and image_id in images
        advice = "" if known else _image_advice(image_id, names, list(images))
        image = index_of(image_id, images, "image_id", advice)
        values.extend((image, label_of(item), *checked_box(item.get("bbox")), _score(item.get("score"))))

    read_each(items, add, path, "detection")
    table = np.array(values, np.float64).reshape(-1, COLUMNS)
    pairs = zip(items, table[:, 1].astype(np.int64).tolist(), strict=True)
    other = sum(item.get("category_id") not in (None, categories[label].id) for item, label in pairs)
    if other and notes is not None:
        detections = counted(other, "detection has", "detections have")
        notes.append(f"{detections} another category_id than the class of that name in the annotations; names decide")
    return table


def _scored_annotations(content: Any) -> list[Any]:
    """Return the annotations of a COCO document of detections; empty if it is another file."""
    items = content.get("annotations") if isinstance(content, dict) else None
    if not isinstance(items, list) or not any(type(item) is dict and "score" in item for item in items):
        return []
    return items


def _labels_of_categories(content: dict[str, Any], path: Path, categories: tuple[Category, ...]) -> dict[Id, int]:
    """Return the label of each category id of a document of detections that lists its categories."""
    listed = read_categories(take_objects(content, "categories", path), path)
    labels = match_names(listed, categories, SIDES)
    used = [item.get("category_id") for item in content["annotations"] if type(item) is dict]
    ids = {value for value in used if type(value) in (int, str)}
    known = any(label is not None for label in labels)
    unknown = [one for one, label in zip(listed, labels, strict=True) if label is None and (one.id in ids or not known)]
    match_all_names(unknown, categories, SIDES, ADVICE, more=True)  # refuses those
    return {one.id: label for one, label in zip(listed, labels, strict=True) if label is not None}


def _image_advice(value: Any, names: Sequence[str], image_ids: Sequence[Id]) -> str:
    """Return what to do about an unknown image id, which may be the name of an image file."""
    stem = PurePath(value).stem if type(value) is str else ""
    image_id = next((one for name, one in zip(names, image_ids, strict=True) if PurePath(name).stem == stem), None)
    if not stem or image_id is None:
        return ADVICE
    return f"it names the file of the image with the id {short_repr(image_id)}; write the id of the image, not its file"


def _class_advice(items: list[Any], known: list[Id]) -> str:
    """Return what to do about unknown category ids: the mapping to the `known` ids, in their order, that would fit."""
    used = {value for item in items if type(item) is dict and type(value := item.get("category_id")) is int}
    ids = [value for value in known if isinstance(value, int)]
    if len(used) < 2 or used <= set(ids) or len(ids) < len(known):  # one id fits anything
        return ADVICE
    fitting = (value - min(used) for value in ids if {one + value - min(used) for one in used} <= set(ids))
    shift = min(fitting, key=abs, default=None)
    if shift is not None and abs(shift) == 1:
        return f"adding {shift} to every category_id would fit; correct the ids, or {ADVICE}"
    if used <= set(range(len(ids))):
        return f"the ids seem to count the {len(ids):,} annotated classes from 0; write their ids, or {ADVICE}"
    if used <= set(range(1, len(ids) + 1)):
        return f"the ids seem to count the {len(ids):,} annotated classes from 1; write their ids, or {ADVICE}"
    if shift is not None:
        return f"adding {shift} to every category_id would fit; correct the ids, or {ADVICE}"
    return ADVICE


def _label_reader(
    categories: tuple[Category, ...], labels: dict[Id, int], advice: str
) -> Callable[[dict[str, Any]], int]:
    """Return a function that gives the label of a detection: by `category_name` if it has one, else by `labels`.

    The error for an unknown category id ends with `advice`.
    """
    by_name = {category.name: label for label, category in enumerate(categories)}
    doubled = doubled_names(categories)

    def label_of(item: dict[str, Any]) -> int:
        name = item.get("category_name")
        if type(name) is not str:
            return index_of(item.get("category_id"), labels, "category_id", advice)
        if name not in by_name:
            raise ItemError(
                f"category_name {short_repr(name)} is none of the {len(by_name):,} annotated classes, such as "
                f"{short_repr(categories[0].name)}; {ADVICE}"
            )
        label = by_name[name]
        if name in doubled:
            label = index_of(item.get("category_id"), labels, "category_id", ADVICE)
            if categories[label].name != name:
                raise ItemError(f"category_name {short_repr(name)} names several classes; rename all but one")
        return label

    return label_of


def _score(value: Any) -> float:
    if type(value) not in (int, float) or not 0 <= value <= 1:
        raise ItemError(f"score {short_repr(value)} is not a number from 0 to 1; {_score_advice(value)}")
    return float(value)


def _score_advice(value: Any) -> str:
    if type(value) not in (int, float):
        return "write the score as a number"
    if value != value:
        return "remove the detection, or check the model for NaN"
    return "divide percentages by 100, or apply the sigmoid to logits"


def _detections(table: Float64Array, image_id: int | str) -> Detections:
    return Detections(
        boxes=table[:, 2:6].copy(),
        scores=table[:, 6].copy(),
        labels=table[:, 1].astype(np.int64),
        anchors=np.full(len(table), -1, np.int64),
        image_id=image_id,
    )
