"""Read detections from a COCO result file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from anchorloc.data.coco_fields import Id, checked_box, index_of
from anchorloc.data.coco_reader import id_at, read_categories, read_each, read_images, take_objects
from anchorloc.data.formats.labels import Labels
from anchorloc.data.source import Annotations
from anchorloc.errors import InputError, ItemError
from anchorloc.files import read_json
from anchorloc.structures import Detections, Float64Array
from anchorloc.text import json_type, short_repr

COLUMNS = 7  # image, label, x1, y1, x2, y2, score
ADVICE = "give the annotations that these detections belong to"


def read_results(path: Path, source: Annotations) -> list[Detections]:
    """Read a COCO result file, a list of {image_id, category_id, bbox, score}; other keys are ignored.

    Returns the detections of each image of `source`, in its order, by descending score. Equal scores keep file order.

    Raises:
        InputError: the file is not such a list, or a detection has an image or a category that `source` lacks, an
            invalid box, or a score outside [0, 1].
    """
    images = [source.image_id(index) for index in range(len(source))]
    table = _read_table(path, images, [category.id for category in source.categories])
    starts = np.searchsorted(table[:, 0], np.arange(len(source) + 1))
    return [_detections(table[start:end], images[index]) for index, (start, end) in enumerate(pairwise(starts))]


def with_detections(labels: Labels, path: Path) -> Labels:
    """Return labels with the detections of a COCO result file in place of their boxes, each with its score.

    Raises:
        InputError: as `read_results`, or there is no detection.
    """
    items = {key: take_objects(dict(labels.document), key, labels.path) for key in ("images", "categories")}
    columns, categories = read_images(items["images"], labels.path), read_categories(items["categories"], labels.path)
    images = [id_at(columns.ids, index) for index in range(len(columns.sizes))]
    table = _read_table(path, images, [category.id for category in categories])
    if not len(table):
        raise InputError(f"{path} has no detections; lower decode.score_threshold of predict")
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


def _read_table(path: Path, image_ids: Sequence[Id], category_ids: Sequence[Id]) -> Float64Array:
    """Return the detections (N, COLUMNS) by image and descending score."""
    items = read_json(path, nan_literals=[])  # the checks below refuse NaN and name the detection
    if not isinstance(items, list):
        raise InputError(f"{path} contains {json_type(items)}, not a list of detections; give a COCO result file")
    images = {image_id: index for index, image_id in enumerate(image_ids)}
    labels = {category_id: label for label, category_id in enumerate(category_ids)}

    def row(item: Any) -> tuple[float, ...]:
        if type(item) is not dict:
            raise ItemError(f"{short_repr(item)} is not an object")
        image = index_of(item.get("image_id"), images, "image_id", ADVICE)
        label = index_of(item.get("category_id"), labels, "category_id", ADVICE)
        return image, label, *checked_box(item.get("bbox")), _score(item.get("score"))

    table = np.array(read_each(items, row, path, "detection"), np.float64).reshape(-1, COLUMNS)
    return table[np.lexsort((-table[:, 6], table[:, 0]))]  # stable


def _score(value: Any) -> float:
    if type(value) not in (int, float) or not 0 <= value <= 1:
        raise ItemError(f"score {short_repr(value)} is not a number from 0 to 1")
    return float(value)


def _detections(table: Float64Array, image_id: int | str) -> Detections:
    return Detections(
        boxes=table[:, 2:6].copy(),
        scores=table[:, 6].copy(),
        labels=table[:, 1].astype(np.int64),
        anchors=np.full(len(table), -1, np.int64),
        image_id=image_id,
    )
