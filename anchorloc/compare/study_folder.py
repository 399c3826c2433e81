"""The folder of a study: study.json and the folders of its runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from anchorloc.compare.jobs import Job
from anchorloc.compare.study_file import Study, folder_name
from anchorloc.config import to_plain, translated
from anchorloc.data import Source
from anchorloc.engine.state.resume_check import find_changes
from anchorloc.engine.state.run_folder import RunLock
from anchorloc.errors import InputError
from anchorloc.files import make_folder, read_json, write_json

STUDY, RUNS = "study.json", "runs"


@dataclass(frozen=True, eq=False)
class StudyFolder:
    """The folder of a study, locked for this process."""

    path: Path
    study: Study
    lock: RunLock

    def jobs(self, command: str) -> list[Job]:
        """Return all runs, seed by seed, so that a study stopped early has complete seeds."""
        return [
            Job(name, seed, self.study.config(name, seed), self.run(name, seed), command)
            for seed in self.study.seeds
            for name in self.study.settings
        ]

    def run(self, setting: str, seed: int) -> Path:
        """Return the folder of a run."""
        return self.path / RUNS / folder_name(setting) / f"seed-{seed}"


def open_study_folder(path: Path, study: Study, train: Source, val: Source, test: Source | None = None) -> StudyFolder:
    """Start a study in a new or empty folder, or resume it; the file may have gained seeds and settings.

    Raises:
        InputError: the folder holds something else, or settings or data differ from earlier runs.
    """
    before = _read(path)
    study = study.with_threads(study.data.train.threads or before.get("threads") or torch.get_num_threads())
    splits = {"train": train, "val": val, "test": test}
    data = {split: source.fingerprint for split, source in splits.items() if source is not None}
    plain = {name: to_plain(config) for name, config in study.settings.items()}
    if before:
        _refuse_another(path, before, plain, data)
    make_folder(path)
    lock = RunLock(path)
    settings = {**before.get("settings", {}), **plain}
    record = {"format": 1, "threads": study.data.train.threads, "data": data, "settings": settings}
    if record != before:
        write_json(path / STUDY, record)
    return StudyFolder(path, study, lock)


def _read(path: Path) -> dict[str, Any]:
    """Return the content of study.json, empty for a folder that is empty or does not exist."""
    if not path.exists() or (path.is_dir() and not any(item.name != ".lock" for item in path.iterdir())):
        return {}
    if not (path / STUDY).is_file():
        raise InputError(f"{path} exists already and is not the folder of a study; give another --out")
    before: dict[str, Any] = read_json(path / STUDY)
    kinds = {"threads": int, "data": dict, "settings": dict}
    whole = isinstance(before, dict) and all(isinstance(before.get(key), kind) for key, kind in kinds.items())
    if not whole or not all(isinstance(config, dict) for config in before["settings"].values()):
        raise InputError(f"{path / STUDY} is damaged; give another --out")
    return {**before, "settings": {name: translated(config) for name, config in before["settings"].items()}}


def _refuse_another(path: Path, before: dict[str, Any], plain: dict[str, Any], data: dict[str, str]) -> None:
    known = before["settings"].keys() & plain.keys()
    if not known:
        names = ", ".join(before["settings"])
        raise InputError(f"{path} is the folder of another study, with the settings {names}; give another --out")
    then_on, now_on = ("test" if "test" in splits else "val" for splits in (before["data"], data))
    if then_on != now_on:
        raise InputError(
            f"{path} is the folder of another study: its runs were scored on {then_on}, not {now_on}; "
            "give another --out"
        )
    for name in (name for name in plain if name in known):
        then = {"config": before["settings"][name], "data": before["data"]}
        if changes := find_changes(then, {"config": plain[name], "data": data}):
            raise InputError(
                f"{path} is the folder of another study: its runs of {name!r} have {changes[0]}; give another --out"
            )
