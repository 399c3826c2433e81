"""Find what changed between a checkpoint and the run that resumes it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from anchorloc.config import config_from_plain, to_plain
from anchorloc.text import first_few, short_repr

# These do not change the weights: they affect speed, disk space, the stored score threshold, or whether a failing run
# continues.
FREE_SETTINGS = (
    "train.workers",
    "train.image_cache_mb",
    "train.save_every",
    "train.keep_checkpoints",
    "train.skip_nonfinite",
    "train.threshold_precision",
)
# These leave the AP of the val split comparable: they affect training, or the val split has a fingerprint of its own.
TRAINING_SETTINGS = (
    "assign",
    "data.format",
    "data.max_pixels",
    "data.path",
    "data.root",
    "data.test",
    "data.test_images",
    "data.train",
    "data.train_images",
    "data.val",
    "data.val_fraction",
    "detector.backbone.weights",
    "detector.weights",
    "localizer.box",
    "localizer.box_weight",
    "loss",
    "train",
    "transform.augment",
)


@dataclass(frozen=True)
class Change:
    """A difference between two identities of a run, as a clause; `ap` if it makes their AP incomparable."""

    clause: str
    ap: bool

    def __str__(self) -> str:
        return self.clause


def find_changes(then: dict[str, Any], now: dict[str, Any]) -> list[Change]:
    """Return the differences between two identities of a run (see `Training.identity`).

    Keys that `then` lacks are not compared.
    """
    parts = {"config": _settings, "categories": _classes, "data": _data, "machine": _machine}
    return [change for key, compare in parts.items() if key in then for change in compare(then, now)]


def identity_of(state: dict[str, Any]) -> dict[str, Any]:
    """Return the identity of the run that saved `state`."""
    return {key: {**state, **state["training"]}[key] for key in ("config", "categories", "data", "machine")}


def _settings(then: dict[str, Any], now: dict[str, Any]) -> Iterator[Change]:
    known = to_plain(
        config_from_plain(then["config"], "the run before")
    )  # with defaults for settings that did not exist then
    before, after = dict(flatten(known)), dict(flatten(now["config"]))
    for key in {**before, **after}:
        if before.get(key) != after.get(key) and key not in FREE_SETTINGS:
            training = any(key == name or key.startswith(f"{name}.") for name in TRAINING_SETTINGS)
            yield Change(f"{key}={before.get(key)}, not {after.get(key)}", not training)


def _classes(then: dict[str, Any], now: dict[str, Any]) -> Iterator[Change]:
    if then["categories"] != now["categories"]:
        before, after = (
            [f"{short_repr(name)} (id {short_repr(id)})" for id, name in known["categories"]] for known in (then, now)
        )
        gone = first_few([one for one in before if one not in after]) or "no other"
        new = first_few([one for one in after if one not in before]) or "no other"
        yield Change(f"other classes: {gone}, not {new}", True)


def _data(then: dict[str, Any], now: dict[str, Any]) -> Iterator[Change]:
    for split, fingerprint in now["data"].items():
        if then["data"].get(split) != fingerprint:
            data = now["config"]["data"]
            where = data.get(split, data.get("kind"))
            yield Change(f"other {split} annotations (the content of {where} has changed)", split == "val")


def _machine(then: dict[str, Any], now: dict[str, Any]) -> Iterator[Change]:
    for what, value in now["machine"].items():
        if then["machine"].get(what) != value:
            yield Change(f"{what}={then['machine'].get(what)}, not {value}", False)


def flatten(plain: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted key, value) for nested dicts."""
    for key, value in plain.items():
        if isinstance(value, dict):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
