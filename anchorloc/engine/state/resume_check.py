"""Find what changed between a checkpoint and the run that resumes it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from anchorloc.config import config_from_plain, to_plain

# These do not change the result: they affect speed, disk space, or whether a failing run continues.
FREE_SETTINGS = (
    "train.workers",
    "train.image_cache_mb",
    "train.save_every",
    "train.keep_checkpoints",
    "train.skip_nonfinite",
)


def find_changes(then: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Return a clause for each difference between two identities of a run (see `Training.identity`).

    Keys that `then` lacks are not compared.
    """
    parts = {"config": _settings, "categories": _classes, "data": _data, "machine": _machine}
    return [change for key, compare in parts.items() if key in then for change in compare(then, now)]


def identity_of(state: dict[str, Any]) -> dict[str, Any]:
    """Return the identity of the run that saved `state`."""
    return {key: {**state, **state["training"]}[key] for key in ("config", "categories", "data", "machine")}


def _settings(then: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    known = to_plain(
        config_from_plain(then["config"], "the run before")
    )  # with defaults for settings that did not exist then
    before, after = dict(flatten(known)), dict(flatten(now["config"]))
    for key in {**before, **after}:
        if before.get(key) != after.get(key) and key not in FREE_SETTINGS:
            yield f"{key}={before.get(key)}, not {after.get(key)}"


def _classes(then: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    if then["categories"] != now["categories"]:
        before, after = ([f"{id} {name}" for id, name in known["categories"]] for known in (then, now))
        yield f"the classes {before}, not {after}"


def _data(then: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    for split, fingerprint in now["data"].items():
        if then["data"].get(split) != fingerprint:
            where = now["config"]["data"].get(split, "built-in")
            yield f"other {split} annotations (the content of {where} has changed)"


def _machine(then: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    for what, value in now["machine"].items():
        if then["machine"].get(what) != value:
            yield f"{what}={then['machine'].get(what)}, not {value}"


def flatten(plain: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted key, value) for nested dicts."""
    for key, value in plain.items():
        if isinstance(value, dict):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
