"""Recognize a bbox that is written in another form than COCO's list of four numbers."""

from __future__ import annotations

import math
from typing import Any, Final

CORNERS: Final = (("x1", "y1", "x2", "y2"), ("xmin", "ymin", "xmax", "ymax"), ("left", "top", "right", "bottom"))
FORMS: Final = (("x", "y", "width", "height"), ("x", "y", "w", "h"), ("left", "top", "width", "height"), *CORNERS)


def holds_numbers(bbox: Any) -> bool:
    """Return whether a bbox that is not four numbers may mean a sound box all the same: all that it holds is finite."""
    if type(bbox) is str:
        return any(letter.isdigit() for letter in bbox)
    values = list(bbox.values()) if type(bbox) is dict else bbox
    if type(values) is not list or not values:
        return False
    inner = [value for part in values for value in (part if type(part) is list else [part])]
    return bool(inner) and all(type(value) in (int, float) and abs(value) < math.inf for value in inner)


def four_numbers(bbox: Any) -> tuple[list[float], str] | None:
    """Return x, y, width, height of a bbox and what was done to it, or None if its form is not known.

    Forms are a nested list, texts of numbers, one text of four, and an object whose keys are in `FORMS`.
    """
    keys: tuple[str, ...] = ()
    action = "texts written as numbers"
    while type(bbox) is list and len(bbox) == 1:
        bbox, action = bbox[0], "nested list unwrapped"
    if type(bbox) is str:
        bbox = bbox.strip(" []()").replace(",", " ").split()
    elif type(bbox) is dict:
        keys = next((form for form in FORMS if bbox.keys() >= {*form}), ())
        bbox, action = [bbox[key] for key in keys], "object written as a list"
    if type(bbox) is not list or len(bbox) != 4 or any(type(value) not in (str, int, float) for value in bbox):
        return None
    try:
        values = [float(value) if type(value) is str else value for value in bbox]
    except ValueError:
        return None
    if not all(abs(value) < math.inf for value in values):
        return None
    left, top, right, bottom = values
    return ([left, top, right - left, bottom - top] if keys in CORNERS else values), action
