"""List every setting with its default and meaning, which is the comment behind its field."""

from __future__ import annotations

import dataclasses
import inspect
import io
import json
import re
import tokenize
from collections.abc import Iterator
from functools import cache

from anchorloc.config.components import choices, default_of, field_types, protocol_of, to_plain
from anchorloc.config.settings import Config


def list_settings(cls: type = Config, default: object = None, prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield (dotted key, default, meaning) of every setting; alternatives of a `kind` follow one another.

    Args:
        default: a component of `cls` whose values are shown in place of the class's own defaults.
    """
    meanings, hints = _meanings(cls), field_types(cls)
    for field in dataclasses.fields(cls):
        key = f"{prefix}{field.name}"
        value = getattr(default, field.name) if type(default) is cls else default_of(field)
        known = choices(hints[field.name])
        if not known:
            shown = "(required)" if value is dataclasses.MISSING else json.dumps(to_plain(value))
            yield key, shown, meanings.get(field.name, "")
            continue
        if len(known) > 1:
            own = [] if protocol_of(hints[field.name]) is None else ["package.module.Class of your own"]
            yield f"{key}.kind", type(value).__name__, "one of " + ", ".join([*(c.__name__ for c in known), *own])
        if value is None:
            yield key, "null", meanings.get(field.name, "")
        for choice in known:
            label = f"{key}." if len(known) == 1 else f"{key}[{choice.__name__}]."
            yield from list_settings(choice, value, label)


@cache
def _meanings(cls: type) -> dict[str, str]:
    """Return the comment behind each field, or on the lines right below it; nothing without source, as in a zipapp."""
    inherited = [_meanings(base) for base in cls.__bases__ if dataclasses.is_dataclass(base)]
    meanings: dict[str, str] = {name: text for texts in inherited for name, text in texts.items()}
    own: dict[str, str] = {}
    name = ""
    try:
        source = inspect.cleandoc("\n" + inspect.getsource(cls))
    except OSError:
        return {}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.string == "def":
            break
        if token.type == tokenize.NAME and (found := re.match(r"\s*(\w+)\s*:", token.line)):
            name = found.group(1)
        elif token.type == tokenize.COMMENT and name:
            own[name] = f"{own.get(name, '')} {token.string.lstrip('# ')}".strip()
    return meanings | own
