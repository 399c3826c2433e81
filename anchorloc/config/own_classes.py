"""Classes of the user's own: when they may be imported, and the errors of their code in one sentence."""

from __future__ import annotations

import inspect
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np

from anchorloc.config.components import OwnPart, own_parts
from anchorloc.config.unimported import UnimportedPart
from anchorloc.errors import InputError
from anchorloc.text import docstring_clause

_FRAME = re.compile(r'File "(.+)", line (\d+)')  # in the text of an error that a loader worker raised
_PACKAGE: Final = Path(__file__).resolve().parents[1]
_FILES: set[str] = set()  # the source files of the classes that settings have named, to recognize errors of their code


class ProtocolError(Exception):
    """A part does something else than its protocol says."""


@dataclass(frozen=True)
class _Permission:
    """The classes that settings may name."""

    all: bool = False  # whatever can be imported
    given: dict[str, type] = field(default_factory=dict)  # by kind: classes of objects that a program gave


_NOTHING: Final = _Permission()
_PERMISSION: ContextVar[_Permission] = ContextVar("_PERMISSION", default=_NOTHING)


@contextmanager
def imports_allowed(allow: bool, config: object = None) -> Iterator[None]:
    """Let settings name classes of the user's own: any class with `allow`, else the classes of parts of `config`."""
    outer = _PERMISSION.get()
    parts = [] if config is None else [own for own in own_parts(config) if not isinstance(own.part, UnimportedPart)]
    given = {own.kind: type(own.part) for own in parts}
    token = _PERMISSION.set(_Permission(allow or outer.all, outer.given | given))
    try:
        yield
    finally:
        _PERMISSION.reset(token)


def own_class(kind: str, key: str) -> type | None:
    """Return the class that `kind`, package.module.Class, names for the setting `key`; None without permission.

    Modules are looked for where Python looks, and in the current folder.

    Raises:
        InputError: there is no such class, or its module cannot be imported.
    """
    permission = _PERMISSION.get()
    if kind not in permission.given and not permission.all:
        return None
    found = permission.given.get(kind) or _imported(kind, key)
    with suppress(TypeError, OSError):  # a class of a notebook has no file
        _FILES.add(inspect.getfile(found))
    return found


def _imported(kind: str, key: str) -> type:
    module_name, _, name = kind.rpartition(".")
    if "<locals>" in kind:
        raise InputError(f"{key}.kind={kind} is a class inside of a function; write it at the top level of its module")
    if not all(map(str.isidentifier, kind.split("."))):
        raise InputError(f"{key}.kind={kind} is no name of a class; write package.module.Class")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)
    try:
        found = getattr(import_module(module_name), name, None)
    except (Exception, SystemExit) as error:  # the code of the module runs
        raise InputError(f"{key}.kind={kind}: {described(error)}; correct {module_name}, or check its name") from error
    if not isinstance(found, type):
        raise InputError(f"{key}.kind={kind}: {module_name} has no class {name}; check the name")
    return found


def import_option(config: object) -> list[str]:
    """Return the option that a command with this config needs, or nothing, as words of its command line."""
    return ["--allow-import"] if any(own_parts(config)) else []


def refuse_unimported(config: object) -> None:
    """Raise InputError if a part of a config was not imported: training needs them all."""
    for part in own_parts(config):
        if isinstance(part.part, UnimportedPart):
            part.part.refuse()


@contextmanager
def own_failures() -> Iterator[None]:
    """Turn an exception that code of the user's own raised into an InputError with its file and line."""
    try:
        yield
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        if (place := _own_place(error)) is None:
            raise
        raise InputError(f"{place}: {described(error)}; correct this code of your own") from error


@contextmanager
def held_to(own: OwnPart) -> Iterator[None]:
    """Turn an exception in the trial of a part into an InputError with the sentence of its protocol."""
    try:
        yield
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        if isinstance(error, ProtocolError):
            what = str(error)
        else:
            place = _own_place(error)
            what = f"it raised {described(error)}" + ("" if place is None else f" ({place})")
        raise InputError(f"{own.key}.kind={own.kind}: {what}; {docstring_clause(own.protocol)}") from error


def require(kept: bool, problem: str) -> None:
    """Raise ProtocolError with `problem` unless the protocol is `kept`."""
    if not kept:
        raise ProtocolError(problem)


def require_array(values: Any, shape: tuple[int, ...], kinds: str, what: str) -> None:
    """Require an array of a shape, whose dtype is of one of the `kinds` of NumPy."""
    require(isinstance(values, np.ndarray), f"{what} is a {type(values).__name__}, not an array")
    types = " or ".join({"f": "float", "i": "int64", "b": "bool"}[kind] for kind in kinds if kind != "u")
    kept = values.shape == shape and values.dtype.kind in kinds
    require(kept, f"{what} has shape {values.shape} and type {values.dtype}, not {shape} and {types}")


def _own_place(error: BaseException) -> str | None:
    """Return the file and line of the last frame of an error that is in code of the user's own."""
    frames = [(frame.filename, str(frame.lineno)) for frame in traceback.extract_tb(error.__traceback__)]
    if "Original Traceback" in str(error):  # torch raises the error of a loader worker again, with its frames as text
        frames += _FRAME.findall(str(error))
    own = [(file, line) for file, line in frames if _is_own(file)]
    return f"{Path(own[-1][0]).name}, line {own[-1][1]}" if own else None


def _is_own(file: str) -> bool:
    """Return whether a source file has a class that settings have named, or lies beside or below one that has."""
    path = Path(file)
    for folder in {Path(own).parent for own in _FILES}:
        below = folder in path.parents and _PACKAGE not in path.parents
        if below and "site-packages" not in (folder.name, *path.relative_to(folder).parts):
            return True
    return file in _FILES


def described(error: BaseException) -> str:
    """Return the type and the message of an error in one line."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    if "Original Traceback" in str(error):
        return lines[-1]  # type and message stand below the frames
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
