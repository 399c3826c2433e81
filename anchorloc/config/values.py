"""Check a plain value of a setting against its type, and say in plain words what is wrong."""

from __future__ import annotations

import json
import math
from functools import cache
from typing import Any, Final

import pydantic

from anchorloc.text import short_repr

EXPECTED: Final = {  # by the error types of pydantic
    "string_type": "a string",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "missing": "more items",
    "dataclass_type": "a group of settings ({} for the defaults)",
}

LARGEST = 1e15  # the product of two such numbers, as of a learning rate and its multiplier, fits float32


def read_value(hint: Any, value: Any, path: str) -> Any:
    """Return a plain value as its type: strict, so '3' is not 3, but a list is read as a tuple.

    Raises:
        ValueError: naming `path`, what the setting takes, and the value.
    """
    if not all(map(math.isfinite, _floats(value))):
        raise ValueError(f"{path}: need finite numbers, got {value!r}")
    try:
        read = _adapter(hint).validate_json(json.dumps(value, default=str), strict=True)
    except pydantic.ValidationError as error:
        errors = error.errors()
    else:
        if any(abs(number) > LARGEST for number in _floats(read)):
            raise ValueError(f"{path}: need numbers up to {LARGEST:g}, got {short_repr(value)}")
        return read
    first = errors[0]
    indices = _indices(first)
    alike = [other for other in errors if _indices(other) == indices]  # one for each type of a union
    expected = " or ".join(dict.fromkeys(_expected(one["type"], one.get("ctx", {}), one["msg"]) for one in alike))
    if first["type"] == "missing":
        indices.pop()  # pydantic counts the absent item
    where = path + "".join(f"[{index}]" for index in indices)
    got = repr(first["input"]) if value is not None else f"nothing; write {path}=VALUE"
    raise ValueError(f"{where}: {expected.replace(' or expected ', ' or ')}, got {got}")


def _indices(error: Any) -> list[int]:
    return [item for item in error["loc"] if isinstance(item, int)]


def _expected(kind: str, context: dict[str, Any], message: str) -> str:
    """Return the words for an error of pydantic, or its own message."""
    if kind == "literal_error":
        return f"expected {context['expected']}"
    if kind == "too_long":
        return f"expected at most {context['max_length']} items"
    return f"expected {EXPECTED[kind]}" if kind in EXPECTED else message


def _floats(value: Any) -> list[float]:
    if isinstance(value, list | tuple):
        return [number for item in value for number in _floats(item)]
    return [value] if isinstance(value, float) else []


@cache
def _adapter(hint: Any) -> pydantic.TypeAdapter[Any]:
    return pydantic.TypeAdapter(hint)
