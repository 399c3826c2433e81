"""Train a model for each of K folds, and detect in each fold with the model that has not seen it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from anchorloc.config import read_saved_config, to_plain
from anchorloc.data.coco_results import result_rows
from anchorloc.engine.evaluation import detect
from anchorloc.engine.fold_command import RECORD, is_fold_folder
from anchorloc.engine.fold_labels import (
    LABELS,
    deal_folds,
    describe_folds,
    fold_data,
    read_train_labels,
    write_folds,
)
from anchorloc.engine.given_settings import read_settings
from anchorloc.engine.preparation import print_command
from anchorloc.engine.run import Caller, resume_run, start_run
from anchorloc.engine.run_result import FoldRuns, Run
from anchorloc.engine.state.resume import BEST
from anchorloc.engine.state.run_folder import CONFIG, RunLock
from anchorloc.engine.system.display import waiting
from anchorloc.engine.trained_model import load_model
from anchorloc.errors import InputError
from anchorloc.files import make_default_folder, make_folder, read_json, refuse_filled, write_json
from anchorloc.plan import PlanRequest

RESULTS = "detections.json"


@dataclass(frozen=True)
class FoldRequest:
    """What a new cross-validation was asked for."""

    words: Sequence[str]  # the data or a config, and overrides
    folds: int
    group_by: str | None = None  # as `key` and `pattern` of `image_groups`
    group_by_name: str | None = None
    force: bool = False  # as in `start_run`


def run_folds(out: Path | None, asked: FoldRequest, caller: Caller) -> FoldRuns:
    """Deal the train labels into folds, write them into a new folder, and train and detect in each.

    Raises:
        InputError: labels, settings or the file system do not allow it.
    """
    _refuse_torchrun()
    if asked.folds < 2:
        raise InputError(f"folds must be at least 2, got {asked.folds}")
    if out is not None:
        refuse_filled(out)
    config, _ = read_settings(asked.words)
    with waiting(caller.console, "comparing the images"):
        labels, source = read_train_labels(config)
        fold_of = deal_folds(labels, source, asked.folds, asked.group_by, asked.group_by_name, config.train.seed)
    folder = make_default_folder("folds") if out is None else out
    make_folder(folder)
    write_folds(labels, fold_of, folder)
    record = {
        "folds": asked.folds,
        "words": list(asked.words),
        "images": str(labels.folder.resolve()),
        "labels": source.fingerprint,
        "force": asked.force,
    }
    write_json(folder / RECORD, record)
    caller.console.print(f"{describe_folds(fold_of)}, {config.train.length} of training for each", highlight=False)
    return _run_folds(folder, record, caller)


def resume_folds(out: Path, caller: Caller) -> FoldRuns:
    """Go on with the folds that are not done; what is done is not trained again.

    Raises:
        InputError: the labels have changed, another process writes into the folder, or as `run_folds`.
    """
    _refuse_torchrun()
    if not is_fold_folder(out):
        raise InputError(f"{out} has no folds to resume; start without resume, or give another out")
    record = read_json(out / RECORD)
    config, _ = read_settings(record["words"])
    if read_train_labels(config)[1].fingerprint != record["labels"]:
        raise InputError(f"the labels have changed since {out} was started; start again with another --out")
    return _run_folds(out, record, caller)


def _refuse_torchrun() -> None:
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise InputError("--folds trains in one process; leave out torchrun")


def _run_folds(folder: Path, record: dict[str, Any], caller: Caller) -> FoldRuns:
    lock, runs = RunLock(folder), list[Run]()
    try:
        for fold in range(record["folds"]):
            own = folder / f"fold_{fold}"
            if (own / RESULTS).is_file():
                caller.console.print(f"fold {fold}: done before", highlight=False)
                continue
            caller.console.rule(f"fold {fold}, {fold + 1} of {record['folds']}")
            if not (own / "report.html").is_file():  # the last file of a run
                run = _train(folder, fold, record, caller)
                runs.append(run)
                if run.stopped:
                    return FoldRuns(folder, folder / LABELS, Path(record["images"]), None, tuple(runs))
            with waiting(caller.console, "detecting in the images of the fold"):
                write_json(own / RESULTS, _detect(own))
        rows = [row for fold in range(record["folds"]) for row in read_json(folder / f"fold_{fold}" / RESULTS)]
        write_json(folder / RESULTS, rows)
    finally:
        lock.release()
    caller.console.print(f"detections of all folds: {folder / RESULTS}; rank suspected label errors by", markup=False)
    words = ["anchorloc", "doctor", str(folder / LABELS), "--images", record["images"]]
    print_command(caller.console, shlex.join([*words, "--detections", str(folder / RESULTS)]))
    return FoldRuns(folder, folder / LABELS, Path(record["images"]), folder / RESULTS, tuple(runs))


def _train(folder: Path, fold: int, record: dict[str, Any], caller: Caller) -> Run:
    """Train in a fold, or resume its run; the first fold makes the plan for all."""
    own = folder / f"fold_{fold}"
    if (own / CONFIG).is_file():
        return resume_run(own, read_saved_config(own / CONFIG), caller)
    if fold:
        config = read_saved_config(folder / "fold_0" / CONFIG)
        data = replace(config.data, train=f"fold_{fold}_train.json", val=f"fold_{fold}_val.json")  # type: ignore[type-var]
        return start_run(own, replace(config, data=data), caller, force=record["force"])
    config, request = read_settings(record["words"])
    data = fold_data(config, folder, fold, Path(record["images"]))
    if request is not None:
        request = _with_data(request, {"kind": "CocoData", **to_plain(data)})
    return start_run(own, replace(config, data=data), caller, request, record["force"])


def _with_data(request: PlanRequest, data: dict[str, Any]) -> PlanRequest:
    """Return the request with other data, of which no override is left."""
    kept = tuple(word for word in request.overrides if word.partition("=")[0].partition(".")[0] != "data")
    return replace(request, given={**request.given, "data": data}, overrides=kept)


def _detect(run: Path) -> list[dict[str, Any]]:
    """Return the detections of the best checkpoint of a run in its fold, as rows of COCO's result format."""
    model = load_model(run / BEST)
    source = model.config.data.open("val")
    found, _ = detect(model, source)
    return [
        row for one in found for row in result_rows(one.image_id, one.boxes, one.scores, one.labels, model.categories)
    ]
