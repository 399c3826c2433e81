"""Values read all at once are what reading them one by one gives, or are left to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from anchorloc.data.coco_reader import _checked_columns, _plain_columns
from anchorloc.data.plain_columns import plain_boxes, plain_flags, plain_indices, plain_numbers
from anchorloc.errors import InputError
from tests.data.coco_cases import JSON_VALUES

PATH = Path("a.json")
IMAGES: dict[int | str, int] = {1: 0, "two": 1}
LABELS: dict[int | str, int] = {3: 0, 7: 1}
NUMBERS = st.integers(-100, 100) | st.floats(-1e8, 1e8)
PLAIN = st.fixed_dictionaries(
    {
        "image_id": st.sampled_from([1, "two"]),
        "category_id": st.sampled_from([3, 7]),
        "bbox": st.tuples(NUMBERS, NUMBERS, st.integers(0, 9) | st.floats(0, 9), st.floats(0, 9)).map(list),
    },
    optional={
        "area": st.none() | st.floats(0, 1e6),
        "iscrowd": st.sampled_from([None, 0, 1, True]),
        "difficult": st.sampled_from([None, 0, 1]),
        "ignore": st.sampled_from([None, 0]),
    },
)
KEYS = ("image_id", "category_id", "bbox", "area", "iscrowd", "difficult", "ignore")


def one_by_one(items: list[dict[str, Any]]) -> tuple[Any, Any] | None:
    try:
        return _checked_columns(items, IMAGES, LABELS, PATH)
    except InputError:
        return None


@given(st.lists(PLAIN, max_size=5))
def test_plain_annotations_give_the_same_columns(items: list[dict[str, Any]]) -> None:
    plain, checked = _plain_columns(items, IMAGES, LABELS), one_by_one(items)
    assert (plain is None) == (checked is None)
    if plain is not None and checked is not None:
        for ours, theirs in zip(plain, checked, strict=True):
            np.testing.assert_array_equal(ours, theirs)


@given(PLAIN, st.sampled_from(KEYS), JSON_VALUES)
def test_odd_values_are_left_to_the_checks(item: dict[str, Any], key: str, value: Any) -> None:
    items = [item | {key: value}]
    plain, checked = _plain_columns(items, IMAGES, LABELS), one_by_one(items)
    assert plain is None or checked is not None
    if plain is not None and checked is not None:
        for ours, theirs in zip(plain, checked, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_what_is_not_plain() -> None:
    assert plain_boxes([{"bbox": [0, 0, 1, 2.5]}]).tolist() == [[0, 0, 1, 2.5]]  # type: ignore[union-attr]
    for box in (None, [0, 0, 1], [0, 0, -1, 1], [0, 0, True, 1], [0, 0, float("nan"), 1], (0, 0, 1, 1)):
        assert plain_boxes([{"bbox": [0, 0, 1, 1]}, {"bbox": box}]) is None
    assert plain_numbers([0, 0.5, 1], 0, 1) is not None
    assert plain_numbers([0, 1.5], 0, 1) is None
    assert plain_numbers([True], 0, 1) is None
    assert plain_indices(["two", 1], IMAGES).tolist() == [1, 0]  # type: ignore[union-attr]
    assert plain_indices([1.0], IMAGES) is plain_indices([[1]], IMAGES) is plain_indices([2], IMAGES) is None
    assert plain_flags([None, 0, 1, True]).tolist() == [0, 0, 1, 1]  # type: ignore[union-attr]
    assert plain_flags([2]) is plain_flags(["0"]) is plain_flags([[]]) is None
