"""What has changed since a checkpoint was written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from anchorloc.config import Config, to_plain
from anchorloc.errors import InputError
from anchorloc.structures import Category


def refuse_changes(path: Path, state: dict[str, Any], config: Config, categories: tuple[Category, ...]) -> None:
    """Raise InputError where a checkpoint does not belong to these settings, naming the first difference."""
    if "training" not in state:
        raise InputError(f"{path} holds weights alone; --resume needs the last.pt of a run")
    now, then = dict(flatten(to_plain(config))), dict(flatten(state["config"]))
    if changed := [key for key in {**then, **now} if now.get(key) != then.get(key)]:
        key = changed[0]
        raise InputError(
            f"{path} was trained with {key}={then.get(key)}, not {now.get(key)}; "
            "resume with the same settings or start a new run"
        )
    if state["categories"] != [[category.id, category.name] for category in categories]:
        raise InputError(f"{path} was trained on other classes: {state['categories']}; start a new run")


def flatten(plain: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted key, value) of nested dicts."""
    for key, value in plain.items():
        if isinstance(value, dict):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
