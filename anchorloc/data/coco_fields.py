"""Check single values of COCO files. All checks raise ItemError."""

from __future__ import annotations

import re
from typing import Any

from anchorloc.errors import ItemError
from anchorloc.text import short_repr

MAX_COORDINATE = 1e7  # pixels
NUMBERS = frozenset((int, float))
IGNORED_AREA = 1e11  # square pixels, beyond all ranges of COCO's scoring, which ignores such an object one to one
Id = int | str


def checked_id(value: Any) -> Id:
    """Return an id: a string, or an integer of at most 64 bits."""
    if type(value) is str or (type(value) is int and -(2**63) <= value < 2**63):
        return value
    if whole := whole_number(value):
        raise ItemError(f"id {short_repr(value)} is a decimal number; write {whole}")
    raise ItemError(f"id {short_repr(value)} is neither a 64-bit integer nor a string")


def checked_name(value: Any) -> str:
    """Return the name of a class: a string with more than blanks."""
    if type(value) is not str:
        raise ItemError(f"name {short_repr(value)} is not a string")
    if not value.strip():
        raise ItemError(f"name {short_repr(value)} is empty; name the class")
    return value


def whole_number(value: Any) -> str:
    """Return the integer that a decimal number such as 2.0 stands for, as text; "" for any other value."""
    return str(int(value)) if type(value) is float and value.is_integer() and abs(value) < 2**53 else ""


def index_of(value: Any, indices: dict[Id, int], key: str, advice: str) -> int:
    """Return the index of an image or category by its id; the error for an unknown one ends with `advice`."""
    if type(value) in (int, str) and value in indices:
        return indices[value]
    if (whole := whole_number(value)) and int(whole) in indices:
        raise ItemError(
            f"{key} {short_repr(value)} is a decimal number, but the annotated ids are integers; write {whole}"
        )
    example = short_repr(next(iter(indices)))
    if type(value) is str and re.fullmatch(r"-?\d{1,18}", value) and int(value) in indices:
        raise ItemError(f"{key} {short_repr(value)} is a string, but the annotated ids are numbers; remove the quotes")
    raise ItemError(
        f"{key} {short_repr(value)} is none of the {len(indices):,} annotated ids, such as {example}; {advice}"
    )


def checked_box(box: Any) -> tuple[float, float, float, float]:
    """Convert a COCO bbox (x, y, width, height) to xyxy."""
    if type(box) is not list or len(box) != 4 or not NUMBERS.issuperset(map(type, box)):
        raise ItemError(f"bbox {short_repr(box)} is not a list of four numbers x, y, width, height")
    x, y, width, height = box
    most = MAX_COORDINATE
    if not (-most <= x <= most and -most <= y <= most and -most <= width <= most and -most <= height <= most):
        raise ItemError(  # 1e999 is parsed to infinity
            f"bbox {short_repr(box)} is not finite or exceeds {MAX_COORDINATE:,.0f} px; correct or remove it"
        )
    if width < 0 or height < 0:
        raise ItemError(f"bbox {short_repr(box)} has a negative width or height; correct or remove it")
    return x, y, x + width, y + height


def is_difficult(item: dict[str, Any]) -> bool:
    """Return whether an annotation is difficult, as Pascal VOC's: neither right nor wrong if it is found or missed."""
    difficult = item.get("difficult")
    if difficult not in (None, 0, 1):
        raise ItemError(f"difficult {short_repr(difficult)} is neither 0 nor 1")
    return bool(difficult)


def area_of(value: Any, box: tuple[float, float, float, float]) -> float:
    """Return an annotated area, or if it is None, the area of the xyxy box."""
    if value is None:
        return (box[2] - box[0]) * (box[3] - box[1])
    if type(value) not in (int, float) or not 0 <= value <= MAX_COORDINATE**2:
        raise ItemError(f"area {short_repr(value)} is not a number of square pixels; correct it or leave it out")
    return float(value)


def is_crowd(item: dict[str, Any]) -> bool:
    """Return whether an annotation is a crowd; without "iscrowd" it is not."""
    crowd, ignore = item.get("iscrowd"), item.get("ignore")
    if crowd not in (None, 0, 1):
        raise ItemError(f"iscrowd {short_repr(crowd)} is neither 0 nor 1")
    if ignore not in (None, 0) and not crowd:  # pycocotools silently overwrites the key with iscrowd
        raise ItemError(
            f"ignore {short_repr(ignore)} has no effect in COCO scoring; set iscrowd to 1 or remove the annotation"
        )
    return bool(crowd)


def whole_pixels(item: dict[str, Any], key: str) -> int:
    """Return the height or width of an image."""
    value: Any = item.get(key)
    if type(value) not in (int, float) or not 1 <= value <= MAX_COORDINATE or value != int(value):
        raise ItemError(f"{key} {short_repr(value)} is not a whole number of pixels from 1 to {MAX_COORDINATE:,.0f}")
    return int(value)
