"""Read settings from YAML and key=value overrides, and write them."""

from __future__ import annotations

import copy
import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from anchorloc.config.components import (
    choices,
    default_of,
    field_types,
    protocol_of,
    takes_none,
    to_plain,
    without_protocol,
)
from anchorloc.config.listing import list_settings
from anchorloc.config.own_classes import described, own_class
from anchorloc.config.planned import AUTO, PLANNED
from anchorloc.config.renamed import renaming, translated
from anchorloc.config.settings import Config
from anchorloc.config.unimported import UnimportedPart
from anchorloc.config.values import read_value
from anchorloc.config.yaml import parse_yaml, read_yaml, write_yaml
from anchorloc.data.image_settings import KEYS, ImageSettings
from anchorloc.errors import InputError
from anchorloc.text import did_you_mean, nearest


def read_config(path: Path | None = None, overrides: Sequence[str] = ()) -> Config:
    """Return the settings of a YAML file, or the built-in ones, with `key=value` overrides applied.

    Raises:
        InputError: naming the file or override, the dotted key and the value.
    """
    plain = None if path is None else read_yaml(path)
    return config_from_plain(
        {} if plain is None else plain, "the built-in settings" if path is None else str(path), overrides
    )


def read_saved_config(path: Path, overrides: Sequence[str] = ()) -> Config:
    """Return the settings of a config.yaml that a run wrote, in this version or an earlier one.

    Raises:
        InputError: as `read_config`.
    """
    plain = read_yaml(path)
    return config_from_plain(translated(plain) if isinstance(plain, dict) else plain, str(path), overrides)


def read_image_settings(overrides: Sequence[str]) -> ImageSettings:
    """Return how a command without a config reads images, by overrides such as data.max_pixels=100000000.

    Raises:
        InputError: an override is wrong, or of another setting.
    """
    for override in overrides:
        key, equals, _ = override.partition("=")
        if equals and key not in KEYS:
            raise InputError(f"{override!r}: this command has no such setting, only {', '.join(KEYS)}; leave it out")
    return read_config(None, overrides).data.image_settings


def config_from_plain(plain: Any, origin: str, overrides: Sequence[str] = ()) -> Config:
    """Return the settings of nested dicts, as a YAML file or a checkpoint (`origin`) holds them, with overrides.

    Raises:
        InputError: naming `origin` or the override, the dotted key and the value.
    """
    plain = with_overrides(plain, origin, overrides)
    config: Config = _read_component(Config, plain, Config(), "", _Origin(origin, tuple(overrides)))
    return config


def with_overrides(plain: Any, origin: str, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Return a copy of nested settings with `key=value` overrides written into it; nothing else is checked.

    Raises:
        InputError: `plain` holds no settings, or an override cannot be read.
    """
    if not isinstance(plain, dict):
        found = {str: "text", list: "a list", type(None): "nothing", bool: "true or false"}.get(type(plain), "a number")
        raise InputError(f"{origin} contains {found}, not settings; write `key: value` lines")
    settings: dict[str, Any] = copy.deepcopy(plain)
    _expand_data_path(settings)
    for override in overrides:
        _apply(settings, override)
        _expand_data_path(settings)
    return settings


def to_yaml(config: object) -> str:
    """Return settings as YAML text, short lists on one line."""
    return write_yaml(to_plain(config))


@dataclasses.dataclass(frozen=True)
class _Origin:
    """The source of settings, for error messages."""

    words: str
    overrides: tuple[str, ...]

    def __call__(self, path: str) -> str:
        """Return the name of the file or override that set the value at `path`."""
        keys = {override: override.partition("=")[0] for override in self.overrides}
        for override, key in reversed(keys.items()):  # the last one counts
            if path == key or path.startswith(f"{key}."):
                return f"the override {override!r}"
        below = [override for override, key in keys.items() if key.startswith(f"{path}.")]
        if not path and keys:
            return f"{self.words} with the overrides"
        return f"{self.words} with {', '.join(below)}" if below else self.words


def _expand_data_path(plain: dict[str, Any]) -> None:
    """Write data=PATH as the settings that it is short for, so that further overrides such as data.format fit."""
    if isinstance(plain.get("data"), str):
        plain["data"] = {"kind": "LabelData", "path": plain["data"]}


def _apply(plain: dict[str, Any], override: str) -> None:
    """Write one `a.b=value` into the nested dict."""
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise InputError(f"{override!r} is not an override; write key=value, for example train.batch_size=8")
    *parents, last = key.split(".")
    for parent in parents:
        plain = plain.setdefault(parent, {})
        if not isinstance(plain, dict):
            raise InputError(f"{override!r}: {parent} is a value, not a group of settings")
    plain[last] = parse_yaml(text, f"the override {override!r}")


def _read_component(
    cls: type, plain: Mapping[str, Any], default: object, path: str, origin: _Origin, kinds: Sequence[type] = ()
) -> Any:
    """Build `cls` from `plain`; other fields come from `default` if it is of that class, else from `cls`.

    Args:
        kinds: what `cls` is chosen from.
    """
    hints = field_types(cls)
    keys = [field.name for field in dataclasses.fields(cls)]  # hints also hold class variables, which nobody can set
    for key, value in plain.items():
        if key not in keys:
            problem = renaming(f"{path}{key}")
            kind = f" of {cls.__name__}" if kinds else ""
            elsewhere = _elsewhere(str(key), value, path, kinds) if nearest(str(key), keys) is None else ""
            advice = elsewhere or (did_you_mean(str(key), keys) if keys else "which has no settings")
            problem = problem or f"{path}{key}: unknown key{kind}, {advice}"
            raise InputError(f"{origin(f'{path}{key}')}: {problem}")
    values = {}
    for field in dataclasses.fields(cls):
        inherited = getattr(default, field.name) if type(default) is cls else default_of(field)
        if field.name in plain:
            values[field.name] = _read(hints[field.name], plain[field.name], inherited, f"{path}{field.name}", origin)
        elif inherited is dataclasses.MISSING:
            raise InputError(f"{origin(path + field.name)}: {path}{field.name} is missing; {cls.__name__} needs it")
        else:
            values[field.name] = inherited
    try:
        return cls(**values)
    except ValueError as error:
        here = path.rstrip(".")
        raise InputError(f"{origin(here)}: {here}{': ' if here else ''}{error}") from None


def _elsewhere(key: str, value: Any, path: str, kinds: Sequence[type]) -> str:
    """Suggest the kinds that have the key, or settings elsewhere of nearly the same name; "" if there is none."""
    if kinds:
        able = [kind.__name__ for kind in kinds if key in {field.name for field in dataclasses.fields(kind)}]
        return f"known to {path}kind={' or '.join(able)}" if able else ""
    while isinstance(value, dict) and len(value) == 1:  # a.b.c=1 sets {"b": {"c": 1}}
        [(key, value)] = value.items()
    paths: dict[str, list[str]] = {}
    for setting, _, _ in list_settings():
        parts = re.sub(r"\[\w+\]", "", setting).split(".")
        for end in range(1, len(parts) + 1):
            alike = paths.setdefault(parts[end - 1], [])
            if (path := ".".join(parts[:end])) not in alike:
                alike.append(path)
    name = nearest(str(key), paths)
    return "" if name is None else f"did you mean {' or '.join(map(repr, paths[name][:3]))}?"


def _read(hint: Any, value: Any, inherited: object, path: str, origin: _Origin) -> Any:
    """Read one setting: a component, one of several components, or a plain value."""
    known, protocol = choices(hint), protocol_of(hint)
    if value is None and (known or protocol) and not takes_none(hint):
        raise InputError(
            f"{origin(path)}: {path}: expected a group of settings ({{}} for the defaults), got nothing; give settings "
            f"or leave {path} out"
        )
    if value is None or not (known or protocol):
        try:
            return read_value(without_protocol(hint), value, path)
        except ValueError as error:
            _refuse_auto(value, path, origin)
            raise InputError(f"{origin(path)}: {error}") from None
    if not isinstance(value, dict):
        _refuse_auto(value, path, origin)
        raise InputError(f"{origin(path)}: {path}: expected a group of settings ({{}} for the defaults), got {value!r}")
    names = {choice.__name__: choice for choice in known}
    usual = [type(inherited), *known] if type(inherited) in known else known
    kind = value.get("kind", usual[0].__name__ if usual else None)
    rest = {key: item for key, item in value.items() if key != "kind"}
    if protocol is not None and isinstance(kind, str) and "." in kind:
        return _read_own(kind, rest, path, origin)
    if not isinstance(kind, str) or kind not in names:
        expected = f"one of {', '.join(names)}" if names else "package.module.Class, a class of your own"
        raise InputError(f"{origin(path)}: {path}.kind: expected {expected}, got {value.get('kind')!r}")
    return _read_component(names[kind], rest, inherited, f"{path}.", origin, known if len(known) > 1 else ())


def _read_own(kind: str, plain: Mapping[str, Any], path: str, origin: _Origin) -> Any:
    """Build a part of the user's own; where its class is not or cannot be imported, keep its settings."""
    cls, problem = None, ""
    try:
        cls = own_class(kind, path)
    except InputError as error:  # matters only to a command that needs the part
        problem = str(error)
    if cls is None:
        return UnimportedPart(path, kind, json.dumps(plain, default=str), problem)
    where = f"{origin(path)}: {path}.kind={kind}"
    if not dataclasses.is_dataclass(cls):
        raise InputError(f"{where} is no dataclass, whose fields are its settings; write @dataclass(frozen=True)")
    if any(field.name == "kind" for field in dataclasses.fields(cls)):
        raise InputError(f"{where} has a field 'kind', which names the class; rename the field")
    try:
        part = _read_component(cls, plain, None, f"{path}.", origin, (cls,))
        hash(part)
        saved = _saved(part, where)
        return _read_component(cls, saved, None, f"{path}.", origin, (cls,))  # its defaults are checked too
    except InputError:
        raise
    except Exception as error:  # its type hints and its __post_init__ are code of the user's own
        raise InputError(
            f"{where}: {described(error)}; write @dataclass(frozen=True), and give its fields types that a setting "
            "can have, such as float, str and tuple[int, ...]"
        ) from error


def _saved(part: object, where: str) -> Any:
    """Return the settings of a part of the user's own as a config holds them."""
    try:
        return to_plain(part)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _refuse_auto(value: Any, path: str, origin: _Origin) -> None:
    """Raise InputError if a setting is `auto`, which a plan replaces by a value before this reads it."""
    if value == AUTO and path in PLANNED:
        raise InputError(
            f"{origin(path)}: {path} is auto, which only `anchorloc train` chooses; write the settings with `anchorloc "
            "train --plan --out DIR` and give DIR/config.yaml here"
        )
    if value == AUTO:
        raise InputError(f"{origin(path)}: {path} cannot be auto, only {', '.join(PLANNED)}; give it a value")
