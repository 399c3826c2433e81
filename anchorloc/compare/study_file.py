"""Read a study file: settings and seeds to train on the same data with the same budget."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from anchorloc.config import Config, config_from_plain, refuse_unimported, with_overrides
from anchorloc.config.yaml import read_yaml
from anchorloc.errors import InputError
from anchorloc.text import did_you_mean

KEYS = ("config", "common", "settings", "seeds", "baseline", "pairs")
SHARED = ("task", "data", "train.length", "train.batch_size", "train.threads", "train.device")  # equal in all settings
MAX_NAME, MAX_SEEDS, MAX_SETTINGS = 60, 1000, 100
NEVER = 1e9  # epochs between validations: a run is judged once, by its final weights


@dataclass(frozen=True)
class Study:
    """The settings, seeds and pairs to compare."""

    path: Path
    settings: Mapping[str, Config]  # by name; the seed in them is not used
    seeds: tuple[int, ...]
    baseline: str | None
    pairs: tuple[tuple[str, str], ...]  # (setting, the setting it is compared with)

    @property
    def data(self) -> Config:
        """Return one of the settings: all have the same data and budget."""
        return next(iter(self.settings.values()))

    def with_threads(self, threads: int) -> Study:
        """Return the study with a fixed number of torch threads: the last bits of a sum depend on it."""
        return replace(
            self,
            settings={
                name: replace(config, train=replace(config.train, threads=threads))
                for name, config in self.settings.items()
            },
        )

    def config(self, name: str, seed: int) -> Config:
        """Return the config of one run."""
        config = self.settings[name]
        return replace(config, train=replace(config.train, seed=seed))


def folder_name(setting: str) -> str:
    """Return a folder name for a setting, safe on every system and unique to its name."""
    plain = re.sub(r"[^A-Za-z0-9]+", "-", setting).strip("-")[:40]
    return f"{plain}-{hashlib.sha256(setting.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}".lstrip("-")


def read_study(path: Path, overrides: Sequence[str] = ()) -> Study:
    """Read a study file, with `key=value` overrides in all its settings.

    Raises:
        InputError: naming the file or the override, the key and the value.
    """
    plain = read_yaml(path)
    if not isinstance(plain, dict):
        raise InputError(
            f"{path} is not a study file: it needs `settings`, `seeds` and a `baseline`; see docs/studies.md"
        )
    _refuse_unknown(path, plain, overrides)
    settings = _settings(path, plain, overrides)
    study = Study(path, settings, _seeds(path, plain.get("seeds")), plain.get("baseline"), ())
    _refuse_differences(study)
    return replace(study, pairs=_pairs(path, plain, settings))


def _refuse_unknown(path: Path, plain: Mapping[Any, Any], overrides: Sequence[str]) -> None:
    for key in plain:
        if key not in KEYS:
            raise InputError(f"{path}: {key}: unknown key, {did_you_mean(str(key), KEYS)}")
    for override in overrides:
        if (key := re.split("[.=]", override)[0]) in KEYS:
            raise InputError(
                f"the override {override!r}: {key} is a key of the study, not of its settings; change {path}"
            )


def _settings(path: Path, plain: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Config]:
    """Read every setting, merged into what all settings share."""
    common = _merged(_base(path, plain.get("config")), _group(path, "common", plain.get("common")))
    settings = _group(path, "settings", plain.get("settings"))
    if not 2 <= len(settings) <= MAX_SETTINGS:
        raise InputError(f"{path}: settings: need 2 to {MAX_SETTINGS} settings, got {len(settings)}")
    return {
        _name(path, name): _config(path, name, _merged(common, _group(path, f"settings.{name}", own)), overrides)
        for name, own in settings.items()
    }


def _base(path: Path, config: Any) -> dict[str, Any]:
    if config is None:
        return {}
    if not isinstance(config, str):
        raise InputError(f"{path}: config: expected the path of a config file, got {config!r}")
    shared = _group(path.parent / config, "config", read_yaml(path.parent / config))
    if isinstance(shared.get("train"), dict):
        shared["train"].pop("seed", None)  # the config of a run has the seed of that run
    return shared


def _group(path: Path, key: str, value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InputError(f"{path}: {key}: expected a group of settings, got {value!r}")
    return value


def _name(path: Path, name: Any) -> str:
    if not isinstance(name, str) or not name.strip() or len(name) > MAX_NAME:
        raise InputError(
            f"{path}: settings: {name!r} is not a name for a setting; use text of 1 to {MAX_NAME} characters"
        )
    return name


def _merged(common: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Merge `own` into `common`, group by group; another `kind` replaces the whole group."""
    merged = dict(common)
    for key, value in own.items():
        below = merged.get(key)
        same = isinstance(value, dict) and isinstance(below, dict) and value.get("kind") in (None, below.get("kind"))
        merged[key] = _merged(below, value) if same else value  # type: ignore[arg-type]
    return merged


def _config(path: Path, name: str, plain: dict[str, Any], overrides: Sequence[str]) -> Config:
    plain = with_overrides(plain, f"{path}: settings.{name}", overrides)  # applied again below, to name them in errors
    config = config_from_plain(plain, f"{path}: settings.{name}", overrides)
    refuse_unimported(config)
    train = config.train
    if isinstance(plain.get("train"), dict) and "seed" in plain["train"]:
        raise InputError(
            f"{path}: settings.{name}: train.seed={train.seed}: a study sets the seeds; list them under `seeds`"
        )
    if train.length_and_unit[1] == "minute":
        raise InputError(
            f"{path}: settings.{name}: train.length={train.length!r}: a study needs 'N iterations' or 'N epochs'; "
            "with minutes every run would have another budget"
        )
    if train.patience:
        raise InputError(
            f"{path}: settings.{name}: train.patience={train.patience}: every run has the same budget; remove it"
        )
    return replace(config, train=replace(train, validate_every=NEVER, seed=0))


def _seeds(path: Path, seeds: Any) -> tuple[int, ...]:
    whole = isinstance(seeds, int) and not isinstance(seeds, bool)
    known = list(range(min(seeds, MAX_SEEDS + 1))) if whole else seeds
    if not isinstance(known, list) or not all(isinstance(seed, int) and 0 <= seed < 1 << 63 for seed in known):
        raise InputError(f"{path}: seeds: expected a number of seeds, or a list of whole numbers from 0, got {seeds!r}")
    if any(isinstance(seed, bool) for seed in known) or len(set(known)) < len(known):
        raise InputError(f"{path}: seeds: need distinct whole numbers, got {seeds!r}")
    if not 2 <= len(known) <= MAX_SEEDS:
        raise InputError(
            f"{path}: seeds: need 2 to {MAX_SEEDS}, got {len(known)}; one run shows nothing about chance, and "
            "a winner needs at least 6"
        )
    return tuple(known)


def _refuse_differences(study: Study) -> None:
    """Raise InputError if two settings are equal, or differ in what all must share: task, data, data order, budget."""
    first, *others = study.settings.items()
    known: list[tuple[str, Config]] = []
    for name, config in study.settings.items():
        if twin := next((other for other, before in known if before == config), None):
            raise InputError(
                f"{study.path}: settings.{name}: equal to {twin!r}, once defaults are filled in; "
                "change one or remove it"
            )
        known.append((name, config))
    for key in SHARED:
        shared = _get(first[1], key)
        for name, config in others:
            if _get(config, key) != shared:
                raise InputError(
                    f"{study.path}: settings.{name}: {key} is {_get(config, key)}, but {shared} for {first[0]!r}; "
                    "all settings need the same task, data, data order and budget"
                )


def _get(config: Config, key: str) -> object:
    value: object = config
    for word in key.split("."):
        value = getattr(value, word)
    return value


def _pairs(path: Path, plain: Mapping[str, Any], settings: Mapping[str, Config]) -> tuple[tuple[str, str], ...]:
    """Return every setting against the baseline, and the declared pairs."""
    baseline, declared = plain.get("baseline"), plain.get("pairs")
    if baseline is None and not declared:
        raise InputError(f"{path}: baseline is missing: name the setting to compare the others with, or list `pairs`")
    if baseline is not None:
        _known(path, "baseline", baseline, settings)
    if not isinstance(declared, list | None):
        raise InputError(f"{path}: pairs: expected a list of [setting, against], got {declared!r}")
    pairs = [(name, str(baseline)) for name in settings if baseline not in (None, name)]
    for pair in declared or []:
        if not isinstance(pair, list) or len(pair) != 2 or pair[0] == pair[1]:
            raise InputError(f"{path}: pairs: expected [setting, against], got {pair!r}")
        _known(path, "pairs", pair[0], settings)
        _known(path, "pairs", pair[1], settings)
        pairs.append((pair[0], pair[1]))
    if twice := next((pair for pair in pairs if [*map(set, pairs)].count(set(pair)) > 1), None):
        raise InputError(f"{path}: pairs: {list(twice)} is compared twice; list it once")
    return tuple(pairs)


def _known(path: Path, key: str, name: Any, settings: Iterable[str]) -> None:
    names = list(settings)
    if name not in names:
        raise InputError(f"{path}: {key}: there is no setting {name!r}; {did_you_mean(str(name), names)}")
