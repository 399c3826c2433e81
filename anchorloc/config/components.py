"""The fields of a component: their types, the kinds to choose from, and their values as plain data."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterator
from functools import cache, reduce
from operator import or_
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from anchorloc.config.unimported import UnimportedPart
from anchorloc.errors import InputError


class OwnPart(NamedTuple):
    """A component of a class outside of this package, and the protocol that it follows."""

    key: str  # dotted key of the setting
    part: Any
    protocol: type

    @property
    def kind(self) -> str:
        """The name of its class, as a config writes it."""
        return self.part.kind if isinstance(self.part, UnimportedPart) else kind_of(type(self.part))


@cache
def field_types(cls: type) -> dict[str, Any]:
    """Return the type of each field of a component."""
    return typing.get_type_hints(cls)


def choices(hint: Any) -> list[type]:
    """Return the dataclasses among the alternatives of a type."""
    return [option for option in _options(hint) if dataclasses.is_dataclass(option) and isinstance(option, type)]


def protocol_of(hint: Any) -> type | None:
    """Return the protocol among the alternatives of a type, which allows classes of the user's own."""
    return next((option for option in _options(hint) if getattr(option, "_is_protocol", False)), None)


def takes_none(hint: Any) -> bool:
    """Return whether None is among the alternatives of a type."""
    return type(None) in _options(hint)


def without_protocol(hint: Any) -> Any:
    """Return a type without its alternatives that are protocols, of which no plain value is."""
    return reduce(or_, (option for option in _options(hint) if not getattr(option, "_is_protocol", False)))


def default_of(field: dataclasses.Field[Any]) -> object:
    """Return the default of a field, or dataclasses.MISSING."""
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def kind_of(cls: type) -> str:
    """Return package.module.Class of a class outside of this package."""
    return f"{cls.__module__}.{cls.__qualname__}"


def own_parts(config: Any, prefix: str = "") -> Iterator[OwnPart]:
    """Yield the parts of a config that are of the user's own, in the order of the settings."""
    cls: Any = type(config)
    hints = field_types(cls)
    for field in dataclasses.fields(config):
        value, protocol = getattr(config, field.name), protocol_of(hints[field.name])
        if protocol is not None and value is not None and type(value) not in choices(hints[field.name]):
            yield OwnPart(f"{prefix}{field.name}", value, protocol)
        elif dataclasses.is_dataclass(value):
            yield from own_parts(value, f"{prefix}{field.name}.")


def to_plain(config: object, where: str = "") -> Any:
    """Return settings as dicts, lists and scalars that `read_config` turns into the same settings.

    Args:
        where: Class.field that holds them.

    Raises:
        InputError: a part of the user's own is no dataclass, or a field has a value that no config can hold.
    """
    if isinstance(config, UnimportedPart):
        return config.plain
    if isinstance(config, np.ndarray | np.generic):
        return config.tolist()
    if isinstance(config, tuple | list):
        return [to_plain(item, where) for item in config]
    if not dataclasses.is_dataclass(config) or isinstance(config, type):
        if type(config) not in (str, int, float, bool, type(None)) and not isinstance(config, Path):  # an enum is none
            raise InputError(
                f"{where} is a {type(config).__name__}, which a config cannot hold; give numbers, strings, true or "
                "false, paths or tuples of them"
            )
        return str(config) if isinstance(config, Path) else config
    try:
        hints = field_types(type(config))
    except Exception as error:  # the types of a class of the user's own are names that may be unknown to its module
        raise InputError(f"the types of the fields of {kind_of(type(config))} cannot be read: {error}") from None
    plain: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value, hint = getattr(config, field.name), hints[field.name]
        known, protocol = choices(hint), protocol_of(hint)
        if protocol is not None and isinstance(value, type):
            raise InputError(f"{field.name}: {value.__name__} is a class; give an object, {value.__name__}()")
        if protocol is not None and value is not None and not dataclasses.is_dataclass(value):
            raise InputError(f"{field.name}: {value!r} is no component; give an object of a frozen dataclass")
        plain[field.name] = to_plain(value, f"{type(config).__name__}.{field.name}")
        if dataclasses.is_dataclass(value) and (len(known) > 1 or protocol is not None):
            name = type(value).__name__ if type(value) in known else kind_of(type(value))
            if "kind" in plain[field.name] and not isinstance(value, UnimportedPart):
                raise InputError(f"{field.name}: {name} has a field 'kind', which names the class; rename the field")
            plain[field.name] = {"kind": name, **plain[field.name]}
    return plain


def _options(hint: Any) -> tuple[Any, ...]:
    return typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
