"""Apply the rules to a data set and a machine: from the settings that are given to all settings of a run."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from anchorloc.config import Config, config_from_plain, read_yaml, with_overrides
from anchorloc.config.planned import AUTO, PLANNED
from anchorloc.data.image_settings import KEYS
from anchorloc.data.tiles import Tiles
from anchorloc.errors import InputError
from anchorloc.plan.choice import Choice, Facts, value_at
from anchorloc.plan.planning_rules import RULES
from anchorloc.plan.tile_rule import tile_choices

BUDGET = "10 minutes"  # train.length without a config
VAL_FRACTION = 0.2  # fraction of the images to set aside where the data has no val split
LOCALIZATION = "every image has exactly one object: task=localization finds one box an image, and is scored by it"
KINDS = {  # until the rules choose these groups, single settings of them can be given
    "detector.backbone": {"kind": "TorchvisionBackbone"},
    "transform.resize": {"kind": "ShortestSide", "size": 1},  # any max_size is allowed
}


@dataclass(frozen=True)
class Plan:
    """All settings of a run, and the choices among them, one a key."""

    config: Config
    choices: tuple[Choice, ...]
    images_seen: float | None  # in the whole run, repeats counted; None where its length is not in minutes
    hint: str = ""  # another way to train on such data

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
        return self.with_choices({})

    @property
    def settings(self) -> dict[str, Any]:
        """What is given, overrides included, as in YAML."""
        return with_overrides(self.given, self.origin, self.overrides)

    def with_choices(self, chosen: Mapping[str, Any]) -> Config:
        """Return what is given, with settings `chosen` by key for the rest.

        Raises:
            InputError: a given setting is wrong, or contradicts a choice.
        """
        kinds = {key: value for key, value in KINDS.items() if self.keys is None or key in self.keys}
        if "transform.resize" in kinds and value_at(self.settings, "localizer") is not None:
            kinds["transform.resize"] = {"kind": "Letterbox"}  # it needs images of one size
        return config_from_plain(_merged(_tree({**kinds, **chosen}), self.settings), self.origin, self.overrides)


def read_request(
    path: Path | None, overrides: Sequence[str], plan: bool = False, kept: Mapping[str, Any] | None = None
) -> tuple[Config, PlanRequest | None]:
    """Return the settings that a command was given, and what is to be chosen: None if nothing is.

    All settings are chosen for labels without a config; else those whose value is `auto`, or all with `plan` where
    none is. Without labels and a config, all are chosen that `kept` lacks.

    Args:
        kept: settings of an earlier run, as in YAML; labels and a config take precedence over them.

    Raises:
        InputError: a file or an override is wrong.
    """
    plain: Any
    if path is not None and is_labels(path):
        refuse_run_folder(path)
        data = {"kind": "LabelData", "path": str(path), "val_fraction": VAL_FRACTION}
        origin, plain, everything = "the command line", {"data": data, "train": {"length": BUDGET}}, True
    else:
        origin = "the built-in settings" if path is None else str(path)
        plain, everything = {} if path is None else read_yaml(path), path is None and kept is not None
        if everything:
            plain = {"train": {"length": BUDGET}}
    if kept is not None:
        plain = _merged(_kept_beside(kept, plain), plain)
    rest, autos = take_autos(with_overrides(plain, origin, overrides))
    if not (everything or plan or autos):
        return config_from_plain(rest, origin, overrides), None
    words = tuple(word for word in overrides if not any(_is_within(key, word.partition("=")[0]) for key in autos))
    request = PlanRequest(rest, origin, words, None if everything or not autos else autos)
    return request.config, request


def _kept_beside(kept: Mapping[str, Any], given: Any) -> dict[str, Any]:
    """Return the settings to keep of an earlier run; of its data, only how images are read where others are given."""
    if not isinstance(given, dict) or "data" not in given:
        return dict(kept)
    kind = given["data"].get("kind") if isinstance(given["data"], dict) else None
    if kind not in ("LabelData", "CocoData"):
        return {**kept, "data": {}}
    read_alike = {*(key.removeprefix("data.") for key in KEYS), "tiles", "drop_root"}
    reading = {key: value for key, value in kept["data"].items() if key in read_alike}
    return {**kept, "data": {**reading, "kind": kind}}


def is_labels(path: Path) -> bool:
    """Return whether a path is a data set, and not a config."""
    if path.is_dir() or path.suffix.lower() not in (".yaml", ".yml"):
        return True
    plain = read_yaml(path)
    return isinstance(plain, dict) and ("names" in plain or isinstance(plain.get("train"), (str, list)))


def refuse_run_folder(path: Path) -> None:
    """Raise InputError if a folder belongs to a run or a plan, and holds no data."""
    if (path / "config.yaml").is_file() and any((path / name).is_file() for name in ("plan.json", "environment.json")):
        raise InputError(f"{path} is the folder of a plan or a run, not of data; train with {path / 'config.yaml'}")


def make_plan(request: PlanRequest, facts: Facts) -> Plan:
    """Apply all rules, one after the other; each sees the config that the earlier ones led to.

    Where tiles are chosen, all are applied anew to the tiles.

    Raises:
        InputError: a given setting is wrong, or contradicts a choice.
    """
    facts = replace(facts, given=request.settings)
    plan = _apply_rules(request, facts)
    if facts.on_tiles is None or not (request.keys is None or "data.tiles" in request.keys):
        return plan
    made = tile_choices(facts, plan.config)
    tiles = next((one.value for one in made if one.key == "data.tiles"), None)
    if tiles is None:  # none are needed, or the time allows none
        return replace(plan, choices=(*made, *plan.choices))
    given = dict(request.given)
    if isinstance(given.get("data"), str):
        given["data"] = {"kind": "LabelData", "path": given["data"]}
    chosen = _merged(given, _tree({one.key: one.value for one in made}))
    plan = _apply_rules(replace(request, given=chosen), replace(facts.on_tiles(Tiles(**tiles)), given=chosen))
    return replace(plan, choices=(*made, *plan.choices))


def _apply_rules(request: PlanRequest, facts: Facts) -> Plan:
    chosen: dict[str, Choice] = {}
    config = request.config
    for rule in RULES:
        made = [one for one in rule(facts, config) if request.keys is None or one.key in request.keys]
        chosen |= {one.key: one for one in map(partial(_not_given, facts.given), made) if one is not None}
        if made:
            config = request.with_choices({key: one.value for key, one in chosen.items()})
    hint = LOCALIZATION if facts.data.one_object and config.task == "detection" else ""
    return Plan(config, tuple(chosen.values()), facts.images_seen(config), hint)


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


def _is_within(key: str, group: str) -> bool:
    """Return whether a key is `group` or one of its settings."""
    return f"{key}.".startswith(f"{group}.")


def _not_given(given: Mapping[str, Any], choice: Choice) -> Choice | None:
    """Return a choice without the settings that the user has given; None if nothing of it is left."""
    value = value_at(given, choice.key)
    if value is None:
        return choice
    if not isinstance(value, Mapping) or not isinstance(choice.value, Mapping) or _other_kind(choice.value, value):
        return None
    left = {key: item for key, item in choice.value.items() if key == "kind" or key not in value}
    return replace(choice, value=left) if set(left) - ({"kind"} & set(value)) else None


def _tree(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings by dotted key as nested settings."""
    tree: dict[str, Any] = {}
    for key, value in values.items():
        *parents, last = key.split(".")
        group = tree
        for parent in parents:
            group = group.setdefault(parent, {})
        group[last] = value
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
