"""YAML as data: no tags, no duplicate keys, no surprises of YAML 1.1."""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from anchorloc.errors import InputError
from anchorloc.files import read_bytes

MAX_YAML_BYTES = 1 << 17  # a hundred times what all settings take, and read within seconds


class _Loader(yaml.SafeLoader):
    """SafeLoader with YAML 1.2's scalars: 1e-4 is a number, `no` and 12:30 are strings."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        mark = event.start_mark
        if isinstance(event, yaml.AliasEvent):
            raise yaml.MarkedYAMLError(problem="aliases (*name) are not read; repeat the value", problem_mark=mark)
        if (tag := getattr(event, "tag", None)) is not None:  # SafeLoader raises arbitrary types on malformed scalars
            raise yaml.MarkedYAMLError(problem=f"tags are not read; leave out {tag!r}", problem_mark=mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[object] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(
                    problem="a key must be a plain word; correct the YAML", problem_mark=key.start_mark
                )
            if key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key.value!r} stands twice; remove one", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


for _tag, _pattern, _first in (
    ("null", r"^(?:null|~|)$", "n~"),
    ("bool", r"^(?:true|false)$", "tf"),
    ("int", r"^[-+]?[0-9]{1,300}$", "-+0123456789"),
    ("float", r"^[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?$|^[-+]?\.inf$|^\.nan$", "-+.0123456789"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), [*_first, ""])
_Loader.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(node.value))


class _Dumper(yaml.SafeDumper):
    """SafeDumper that quotes what the loader would not read as a string."""

    yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers


def write_yaml(value: Any) -> str:
    """Return a value as YAML text, short lists on one line."""
    text: str = yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=100, allow_unicode=True
    )
    return text


def parse_yaml(text: str, origin: str) -> Any:
    """Return the value of a YAML text; `origin` names it in messages.

    Raises:
        InputError: it is not YAML, or uses a tag, an alias or a key twice.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        fix = "" if ";" in str(error.problem) else "; correct the YAML"  # errors of _Loader say what to do
        if "unknown escape" in str(error.problem):  # as in "C:\data"
            fix = "; write paths with / or in single quotes"
        raise InputError(f"{origin}{where}: {error.problem}{fix}") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InputError(f"{origin} is not valid YAML: {str(error).splitlines()[0]}; correct the YAML") from None


def read_yaml(path: Path) -> Any:
    """Return the value of a YAML file in UTF-8."""
    try:
        return parse_yaml(read_bytes(path, MAX_YAML_BYTES).decode("utf-8-sig"), str(path))
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8 text; save it as UTF-8") from None
