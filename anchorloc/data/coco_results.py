"""Read detections from a COCO result file."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from anchorloc.data.coco_fields import checked_box, index_of
from anchorloc.data.coco_reader import read_each
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
    items = read_json(path, nan_literals=[])  # the checks below refuse NaN and name the detection
    if not isinstance(items, list):
        raise InputError(f"{path} contains {json_type(items)}, not a list of detections; give a COCO result file")
    images = {source.image_id(index): index for index in range(len(source))}
    labels = {category.id: label for label, category in enumerate(source.categories)}

    def row(item: Any) -> tuple[float, ...]:
        if type(item) is not dict:
            raise ItemError(f"{short_repr(item)} is not an object")
        image = index_of(item.get("image_id"), images, "image_id", ADVICE)
        label = index_of(item.get("category_id"), labels, "category_id", ADVICE)
        return image, label, *checked_box(item.get("bbox")), _score(item.get("score"))

    table = np.array(read_each(items, row, path, "detection"), np.float64).reshape(-1, COLUMNS)
    table = table[np.lexsort((-table[:, 6], table[:, 0]))]  # stable
    starts = np.searchsorted(table[:, 0], np.arange(len(source) + 1))
    return [
        _detections(table[start:end], source.image_id(index)) for index, (start, end) in enumerate(pairwise(starts))
    ]


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
