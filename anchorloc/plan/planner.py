"""Apply the rules to a data set and a machine: from the settings that are given to all settings of a run."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anchorloc.config import Config, config_from_plain, read_yaml, with_overrides
from anchorloc.plan.choice import Choice, Facts
from anchorloc.plan.planning_rules import PLANNED, RULES

AUTO = "auto"  # in place of a value: choose this setting
BUDGET = "10 minutes"  # train.length without a config
VAL_FRACTION = 0.2  # fraction of the images to set aside where the data has no val split
PRETRAINED = {"detector": {"backbone": {"kind": "TorchvisionBackbone"}}}  # before the network is chosen


@dataclass(frozen=True)
class Plan:
    """All settings of a run, and the choices among them, one a key."""

    config: Config
    choices: tuple[Choice, ...]
    images_seen: float | None  # in the whole run, repeats counted; None where its length is not in minutes

    @property
    def steps(self) -> float | None:
        """The steps that fit into the length, about."""
        return None if self.images_seen is None else self.images_seen / self.config.train.batch_size


@dataclass(frozen=True)
class PlanRequest:
    """What a user has given, and what is to be chosen."""

    given: Mapping[str, Any]  # settings as in YAML, which no choice changes
    origin: str  # the file that they are from, for messages
    overrides: tuple[str, ...] = ()  # key=value
    keys: tuple[str, ...] | None = None  # to choose; None is all that the rules know

    @property
    def config(self) -> Config:
        """What is given, with defaults for the rest."""
        chosen = self.keys is None or "detector.backbone" in self.keys
        return self.with_choices(PRETRAINED if chosen else {})

    def with_choices(self, chosen: Mapping[str, Any]) -> Config:
        """Return what is given, with `chosen` settings for the rest.

        Raises:
            InputError: a given setting is wrong, or contradicts a choice.
        """
        given = with_overrides(self.given, self.origin, self.overrides)
        return config_from_plain(_merged(chosen, given), self.origin, self.overrides)


def read_request(path: Path | None, overrides: Sequence[str], plan: bool = False) -> tuple[Config, PlanRequest | None]:
    """Return the settings that a command was given, and what is to be chosen: None if nothing is.

    All settings are chosen for labels without a config, and with `plan`; else those whose value is `auto`.

    Raises:
        InputError: a file or an override is wrong.
    """
    if path is not None and is_labels(path):
        data = {"kind": "LabelData", "path": str(path), "val_fraction": VAL_FRACTION}
        request = PlanRequest({"data": data, "train": {"length": BUDGET}}, "the command line", tuple(overrides))
        return request.config, request
    origin = "the built-in settings" if path is None else str(path)
    given = with_overrides({} if path is None else read_yaml(path), origin, overrides)
    rest, autos = take_autos(given)
    kept = tuple(word for word in overrides if word.partition("=")[0] not in autos)
    request = PlanRequest(rest, origin, kept, None if plan else autos)
    return request.config, request if plan or autos else None


def is_labels(path: Path) -> bool:
    """Return whether a path is a data set, and not a config."""
    if path.is_dir() or path.suffix.lower() not in (".yaml", ".yml"):
        return True
    plain = read_yaml(path)
    return isinstance(plain, dict) and ("names" in plain or isinstance(plain.get("train"), (str, list)))


def make_plan(request: PlanRequest, facts: Facts) -> Plan:
    """Apply all rules, one after the other; each sees the config that the earlier ones led to.

    Raises:
        InputError: a given setting is wrong, or contradicts a choice.
    """
    given = with_overrides(request.given, request.origin, request.overrides)
    chosen: dict[str, Choice] = {}
    config = request.config
    for rule in RULES:
        made = [one for one in rule(facts, config) if request.keys is None or one.key in request.keys]
        chosen |= {one.key: one for one in made if not _is_given(given, one)}
        if made:
            config = request.with_choices(_tree(chosen))
    return Plan(config, tuple(chosen.values()), facts.images_seen(config))


def take_autos(plain: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return settings without the keys whose value is `auto`, and these keys; a setting's own `auto` stays."""
    rest = copy.deepcopy(dict(plain))
    found = tuple(key for key in _auto_keys(plain) if key in PLANNED)
    for key in found:
        *parents, last = key.split(".")
        group = rest
        for parent in parents:
            group = group[parent]
        del group[last]
    return rest, found


def _is_given(given: Mapping[str, Any], choice: Choice) -> bool:
    """Return whether the user has set the key of a choice, or another kind of it."""
    value: Any = given
    for key in choice.key.split("."):
        if not isinstance(value, Mapping) or key not in value:
            return False
        value = value[key]
    return not isinstance(value, Mapping) or _other_kind(choice.value, value)


def _tree(chosen: Mapping[str, Choice]) -> dict[str, Any]:
    """Return the choices as nested settings."""
    tree: dict[str, Any] = {}
    for key, choice in chosen.items():
        *parents, last = key.split(".")
        group = tree
        for parent in parents:
            group = group.setdefault(parent, {})
        group[last] = choice.value
    return tree


def _merged(chosen: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested settings: what is `given` replaces what is `chosen`, key by key; another kind replaces a group."""
    merged = dict(chosen)
    for key, value in given.items():
        before = merged.get(key)
        both = isinstance(before, Mapping) and isinstance(value, Mapping) and not _other_kind(before, value)
        merged[key] = _merged(before, value) if both else value  # type: ignore[arg-type]
    return merged


def _other_kind(chosen: Any, given: Mapping[str, Any]) -> bool:
    return "kind" in given and isinstance(chosen, Mapping) and given["kind"] != chosen.get("kind")


def _auto_keys(plain: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in plain.items():
        if value == AUTO:
            yield f"{prefix}{key}"
        elif isinstance(value, Mapping):
            yield from _auto_keys(value, f"{prefix}{key}.")
