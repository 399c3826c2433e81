"""Read one key of many objects at once, where all values are as COCO defines them; else return None.

A call for each of a million values takes most of the time of reading a file. None means that some value is wrong, or
right in an unusual way: the caller then reads the objects one by one, and names the object.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from anchorloc.data.coco_fields import MAX_COORDINATE, NUMBERS, Id
from anchorloc.structures import Float64Array, IntArray

_IDS = frozenset((int, str))
_FLAGS = frozenset((int, bool, type(None)))


def plain_boxes(items: Sequence[dict[str, Any]]) -> Float64Array | None:
    """Return the boxes (N, 4) as xyxy."""
    boxes = [item.get("bbox") for item in items]
    if not {list}.issuperset(map(type, boxes)) or not {4}.issuperset(map(len, boxes)):  # type: ignore[arg-type]
        return None
    values = plain_numbers(list(chain.from_iterable(boxes)), -MAX_COORDINATE, MAX_COORDINATE)  # type: ignore[arg-type]
    if values is None:
        return None
    table = values.reshape(-1, 4)
    if (table[:, 2:] < 0).any():
        return None
    table[:, 2:] += table[:, :2]
    return table


def plain_numbers(values: Sequence[Any], low: float, high: float) -> Float64Array | None:
    """Return numbers from `low` to `high` (N,)."""
    if not NUMBERS.issuperset(map(type, values)):
        return None
    numbers = np.fromiter(values, np.float64, len(values))
    return numbers if bool(((low <= numbers) & (numbers <= high)).all()) else None


def plain_indices(values: Sequence[Any], indices: dict[Id, int]) -> IntArray | None:
    """Return the index of each id (N,)."""
    if not _IDS.issuperset(map(type, values)):
        return None
    found = list(map(indices.get, values))
    return None if None in found else np.fromiter(found, np.int64, len(found))


def plain_flags(values: Sequence[Any]) -> IntArray | None:
    """Return flags that are 0, 1 or missing as 0 and 1 (N,)."""
    if not _FLAGS.issuperset(map(type, values)) or not {None, 0, 1}.issuperset(values):
        return None
    return np.fromiter(map(bool, values), np.int64, len(values))
