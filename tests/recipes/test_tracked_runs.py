"""The recipes around a training run: trackers of experiments, and Optuna."""

from __future__ import annotations

import inspect
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock, call

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import anchorloc
from anchorloc.compare.study_file import read_study
from anchorloc.config import read_config
from anchorloc.engine import run_report, training
from anchorloc.engine.system.signals import CANCELED
from anchorloc.train import Logged, Run, RunEvent, StopTraining, Validated
from tests.guides import PAGES, commands
from tests.recipes.recipe_programs import PAGE, mock_of, run_program

TINY = [
    "data={train_images: 6, val_images: 3, size: 64}",
    "detector.backbone={channels: [8, 8, 16, 16], blocks: [1, 1, 1, 1]}",
    "detector.pyramid.channels=8",
    "detector.head={channels: 8, depth: 1}",
    "train.length=3 iterations",
    "train.batch_size=2",
    "train.workers=0",
    "train.validate_every=10",
]


@dataclass(frozen=True)
class Recorded:
    """A run with the events that its listener got."""

    run: Run
    events: list[RunEvent]

    @property
    def logged(self) -> list[Logged]:
        return [event for event in self.events if isinstance(event, Logged)]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    events = list[RunEvent]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_report, "RESAMPLES", 10)
        patch.setattr(training, "LOG_EVERY", 2)
        run = anchorloc.train.run(None, *TINY, out=tmp_path_factory.mktemp("runs") / "mine", events=events.append)
    return Recorded(run, events)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, recorded: Recorded, desk: Path) -> list[dict[str, Any]]:
    """Let `anchorloc.train.run` give the recorded run and its events, and return the arguments that it got."""
    made, signature = list[dict[str, Any]](), inspect.signature(anchorloc.train.run)

    def run(*args: Any, **kwargs: Any) -> Run:
        given = signature.bind(*args, **kwargs).arguments
        read_config(Path(given["data_or_config"]), given["overrides"])
        made.append(given)
        try:
            for event in recorded.events:
                given["events"](event)
        except StopTraining:
            return replace(recorded.run, stop_signal=CANCELED)
        return recorded.run

    monkeypatch.setattr(anchorloc.train, "run", run)
    return made


def test_tensorboard_and_metrics_have_the_logged_numbers(recorded: Recorded, desk: Path) -> None:
    assert ["tensorboard", "--logdir", "runs"] in commands(PAGE)
    board = EventAccumulator(str(recorded.run.folder / "tensorboard"))
    board.Reload()
    assert {"train/loss", "val/AP"} <= set(board.Tags()["scalars"])
    shutil.copy(recorded.run.folder / "metrics.jsonl", "runs/mine")
    printed = list[tuple[Any, ...]]()
    run_program("runs/mine/metrics.jsonl", print=lambda *values: printed.append(values))
    assert printed == [(event.step, event.numbers) for event in recorded.logged]
    assert [event.step for event in recorded.logged] == [2, 3]


def test_wandb(
    recorded: Recorded,
    calls: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    wandb = mock_of(monkeypatch, "wandb")
    names = run_program("import wandb")
    tracker = names["tracker"]
    assert calls[0]["overrides"] == ("train.seed=1", "train.batch_size=8")
    if wandb is not None:
        assert wandb.init.call_args == call(project="cells", config={"train.seed": 1, "train.batch_size": 8})
        assert tracker.log.call_args_list == [call(event.numbers, step=event.step) for event in recorded.logged]
        assert tracker.summary.update.call_args == call(recorded.run.metrics["summary"])
        assert tracker.log_artifact.call_args == call(recorded.run.best, name="cells", type="model")
    else:
        (file,) = Path("wandb").glob("offline-run-*/*.wandb")
        assert file.stat().st_size > 0
        assert tracker.config["train.seed"] == 1
        printed = capfd.readouterr().err  # the file is compressed
        assert all(name in printed for name in ("val/AP", "AP50"))


def test_mlflow(recorded: Recorded, calls: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = mock_of(monkeypatch, "mlflow")
    names = run_program("import mlflow")
    run = recorded.run
    assert calls[0]["overrides"] == ("train.seed=1", "train.batch_size=8")
    if mlflow is not None:
        assert mlflow.log_params.call_args == call({"train.seed": 1, "train.batch_size": 8})
        assert mlflow.log_metrics.call_args_list == [call(event.numbers, step=event.step) for event in recorded.logged]
        assert mlflow.log_artifact.call_args_list == [
            call(run.best),
            call(run.report),
            call(run.folder / "config.yaml"),
        ]
    else:
        package = names["mlflow"]
        (kept,) = package.search_runs(experiment_names=["cells"], output_format="list")
        assert kept.data.params == {"train.seed": "1", "train.batch_size": "8"}
        assert kept.data.metrics["val/AP"] == recorded.logged[-1].numbers["val/AP"]
        files = {file.path for file in package.MlflowClient().list_artifacts(kept.info.run_id)}
        assert files == {"best.pt", "report.html", "config.yaml"}


class Pruned(Exception):
    """What optuna.TrialPruned stands for."""


def test_optuna(recorded: Recorded, calls: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """The second trial of the mock is pruned at its first validation."""
    optuna = mock_of(monkeypatch, "optuna")
    if optuna is not None:
        optuna.TrialPruned = Pruned
        trials = [MagicMock(number=number, **{"should_prune.return_value": number == 1}) for number in range(2)]
        for trial in trials:
            trial.suggest_float.side_effect = lambda name, low, high, log=False: {"rate": 0.001, "scale": 3.5}[name]
        search = optuna.create_study.return_value
        values = list[float | None]()

        def optimize(objective: Callable[[Any], float], n_trials: int) -> None:
            values.append(objective(trials[0]))
            with pytest.raises(Pruned):
                objective(trials[1])

        search.optimize.side_effect = optimize
        search.best_params = {"rate": 0.001, "scale": 3.5}
    names = run_program("import optuna")
    if optuna is not None:
        assert values == [recorded.run.best_ap]
        assert calls[1]["overrides"] == (
            "train.optimizer.learning_rate=0.001", "anchors.scales=[3.5]", "train.length=600 iterations",
        )  # fmt: skip
        (scored,) = [event for event in recorded.events if isinstance(event, Validated)]
        assert trials[0].report.call_args == call(scored.ap, scored.step)
    else:
        assert len(names["search"].trials) == 20
        assert names["search"].best_value == recorded.run.best_ap
    run_program("import yaml", search=names["search"])
    (command,) = [words for words in commands(PAGE) if words[:2] == ["anchorloc", "compare"]]
    study = read_study(Path(command[2]))
    assert study.seeds == tuple(range(1, 9))
    assert study.pairs == (("tuned", "before"),)
    best = names["search"].best_params
    assert study.settings["tuned"].train.optimizer.learning_rate == best["rate"]
    assert study.settings["tuned"].train.length == study.settings["before"].train.length == "600 iterations"


def test_the_best_of_20_equal_trials_lies_1_9_standard_deviations_above_their_mean() -> None:
    assert "the best one lies 1.9 standard deviations" in PAGES[PAGE].read_text(encoding="utf-8")
    draws = np.random.default_rng(0).standard_normal((200_000, 20)).max(axis=1)
    assert round(float(draws.mean()), 1) == 1.9
