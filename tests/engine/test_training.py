"""Whole runs: NaN losses, early stopping, workers, memory, and what checkpoints hold."""

from __future__ import annotations

import itertools
import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from anchorloc.data import Samples
from anchorloc.detector import Detector
from anchorloc.engine.batch_samplers import TrainBatchSampler
from anchorloc.engine.build import batches, train_loader
from anchorloc.engine.events import RunEvent, StepDone
from anchorloc.engine.judge_model import score_detections
from anchorloc.engine.learner import Learner
from anchorloc.engine.schedule import Clock
from anchorloc.engine.state.saving import BestValidation
from anchorloc.engine.state.score_threshold import ROUNDING, ScoreThreshold
from anchorloc.engine.system.log import read_log
from anchorloc.engine.system.processes import SINGLE_PROCESS
from anchorloc.engine.trained_model import for_inference, load_model
from anchorloc.engine.training import Training
from anchorloc.errors import InputError
from anchorloc.metrics import Evaluation, OperatingPoint
from tests.engine.small_runs import assert_same, assert_same_run, open_run, run, small, weights


def test_the_number_of_workers_changes_nothing(tmp_path: Path) -> None:
    run(small("train.length=5 iterations"), tmp_path / "none")
    run(small("train.length=5 iterations", "train.workers=2"), tmp_path / "two")
    first, second = weights(tmp_path / "none"), weights(tmp_path / "two")
    first.pop("config"), second.pop("config")
    assert_same(first, second)


def test_a_loss_that_is_not_a_number_stops_before_the_update(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forward = Detector.forward

    def poisoned(self: Detector, images: torch.Tensor) -> Any:
        predictions = forward(self, images)
        return predictions if not self.training else predictions._replace(deltas=predictions.deltas * float("nan"))

    monkeypatch.setattr(Detector, "forward", poisoned)
    message = (
        r"the loss became nan at step 0, on a batch of 4 images \(first: (train_\d+\.png(, )?){4}; all in .*not_finite"
    )
    with pytest.raises(InputError, match=message):
        run(small("train.length=2 iterations"), tmp_path / "run")
    written = json.loads((tmp_path / "run" / "not_finite.json").read_text())
    assert written.pop("images") == [
        f"train_{index:06}.png" for _, index in next(iter(TrainBatchSampler(24, 4, seed=0)))
    ]
    assert written == {"what": "the loss", "value": "nan", "step": 0}
    assert weights(tmp_path / "run")["step"] == 0


def test_early_stopping_ends_a_run(tmp_path: Path) -> None:
    config = small("train.length=500 iterations", "train.patience=1", "train.optimizer={learning_rate: 1.0e-9}")
    training = run(config, tmp_path / "run")
    assert training.clock.step < 50  # nothing is learned, so the second validation is no better


@pytest.mark.parametrize(
    ("aps", "best", "since"),
    [
        ([0.1, 0.2, 0.2, 0.1], 9, 2),
        ([0.3, 0.2, 0.1, 0.1], 3, 3),
        ([0.0, 0.0, 0.0, 0.0], 12, 3),
        ([0.1] * 3 + [0.2], 12, 0),
    ],
)
def test_of_equal_scores_the_later_checkpoint_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, aps: list[float], best: int, since: int
) -> None:
    """Only a greater one restarts the count of `train.patience`."""
    left = iter(aps)
    monkeypatch.setattr(Training, "_score", lambda *_: next(left))
    training = run(small("train.length=12 iterations"), tmp_path / "run")
    assert training.progress.best == BestValidation(max(aps), best, since)
    assert weights(tmp_path / "run", "best.pt")["step"] == best


def validated_steps(folder: Path) -> list[int]:
    return [row["step"] for row in read_log(folder) if "val/AP" in row]


def test_automatic_validations_of_iterations_come_every_half_epoch(tmp_path: Path) -> None:
    """An epoch has 6 steps; the validation at the end would follow the last periodic one at once."""
    run(small("train.length=13 iterations", "train.validate_every=auto"), tmp_path / "run")
    assert validated_steps(tmp_path / "run") == [3, 6, 9, 13]


@pytest.mark.parametrize(("every", "expected"), [("auto", [7]), ("0.5", [3, 6, 7])])
def test_minutes_are_validated_by_the_clock_unless_a_number_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: str, expected: list[int]
) -> None:
    monkeypatch.setattr(Clock, "has_time_to_validate", lambda *_: False)
    monkeypatch.setattr(Clock, "progress", property(lambda self: self.step / 7))
    training = run(small("train.length=5 minutes", f"train.validate_every={every}"), tmp_path / "run")
    assert validated_steps(tmp_path / "run") == expected
    saved = weights(tmp_path / "run")["training"]["validations"]
    assert saved["count"] == training.progress.validations.count == len(expected)
    assert saved["seconds"] > 0


def test_a_checkpoint_gives_the_averaged_weights_back(tmp_path: Path) -> None:
    training = run(small("train.length=2 iterations"), tmp_path / "run")
    model = load_model(tmp_path / "run" / "last.pt", ["decode.nms_iou=0.3"])
    assert model.config.decode.nms_iou == 0.3
    assert [category.name for category in model.categories] == ["ellipse", "rectangle", "triangle", "cross"]
    average = for_inference(training.learner.average.module, training.config, torch.device("cpu"))
    assert_same(dict(model.network.state_dict()), dict(average.state_dict()))
    with pytest.raises(InputError, match="does not fit the network"):
        load_model(tmp_path / "run" / "last.pt", ["detector.head.channels=24"])


def test_checkpoints_keep_the_threshold_of_best_f1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point = OperatingPoint(0.375, 0.75, 0.5, 0.6)

    def scored(*arguments: Any, **words: Any) -> Evaluation:
        return replace(score_detections(*arguments, **words), operating_point=point)

    monkeypatch.setattr("anchorloc.engine.training.score_detections", scored)
    run(small("train.length=2 iterations"), tmp_path / "run")
    found = "best F1 over all classes at IoU 0.5 on val, 6 images, at step 2"
    kept = {"score": 0.375 - ROUNDING, "precision": 0.75, "recall": 0.5, "f1": 0.6, "found": found}
    for name in ("last.pt", "best.pt"):
        assert weights(tmp_path / "run", name)["threshold"] == kept
    assert load_model(tmp_path / "run").threshold == ScoreThreshold(**kept)  # type: ignore[arg-type]
    resumed = run(small("train.length=2 iterations"), tmp_path / "run", resume=True)
    assert resumed.saver.threshold == ScoreThreshold(**kept)  # type: ignore[arg-type]
    monkeypatch.setattr(Evaluation, "at_precision", lambda _, found, precision: replace(point, precision=precision))
    precise = run(small("train.length=2 iterations", "train.threshold_precision=0.9"), tmp_path / "precise")
    found = "greatest recall at precision 0.9 over all classes at IoU 0.5 on val, 6 images, at step 2"
    kept = {**kept, "precision": 0.9, "found": found}
    assert precise.saver.threshold == ScoreThreshold(**kept)  # type: ignore[arg-type]
    alone = "data={kind: OneShapeData, train_images: 8, val_images: 4, size: 96}"
    run(small("train.length=1 iterations", "task=localization", alone), tmp_path / "one")
    assert weights(tmp_path / "one", "best.pt")["threshold"] is None


@pytest.mark.parametrize(
    "words",
    [
        ["assign={kind: TaskAlignedAssigner}", "detector.head.iou_branch=true"],
        [
            "detector.head={background_class: true}",
            "loss={classification: {kind: HardNegativeLoss}, box: {kind: CIoULoss}}",
        ],
    ],
)
def test_other_losses_and_assigners_run_and_validate(tmp_path: Path, words: list[str]) -> None:
    training = run(small("train.length=2 iterations", *words), tmp_path / "run")
    assert training.clock.step == 2
    assert (tmp_path / "run" / "best.pt").is_file()


def poison(monkeypatch: pytest.MonkeyPatch, steps: set[int]) -> None:
    """Let the network see an image of infinite brightness at these updates, the first being 0."""
    forward, seen = Detector.forward, iter(range(1000))

    def poisoned(self: Detector, images: Tensor) -> Any:
        bad = self.training and next(seen) in steps
        return forward(self, images.float() * torch.inf if bad else images)

    monkeypatch.setattr("anchorloc.engine.build.refuse_other_grids", lambda *_: None)
    monkeypatch.setattr(Detector, "forward", poisoned)


def test_updates_that_are_no_numbers_are_skipped_as_if_they_had_not_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither weights nor statistics nor the optimizer's state know of them; the log counts them."""
    words = ["train.skip_nonfinite=2", "train.validate_every=100", "train.warmup=0"]
    config = small("train.length=6 iterations", *words)
    twin = Learner(config, config.data.open("train").categories, SINGLE_PROCESS)
    with monkeypatch.context() as patch:
        patch.setattr("anchorloc.engine.training.LOG_EVERY", 2)
        poison(patch, {1, 2, 4})
        training = run(config, tmp_path / "run")
    stream = batches(train_loader(config, config.data.open("train"), 0))
    clock = Clock(config.train, images=24)
    for step in range(6):
        batch = [next(stream)]
        if step not in (1, 2, 4):
            twin.update(batch, clock.lr_factor(step / 6))
    assert_same(training.learner.state(), twin.state())
    assert any("running_mean" in name for name in twin.model.state_dict())
    assert [row["skipped"] for row in read_log(tmp_path / "run") if "lr" in row] == [1, 2, 3]
    assert (training.progress.skipped, training.progress.skipped_in_a_row) == (3, 0)
    written = json.loads((tmp_path / "run" / "not_finite.json").read_text())
    assert written["step"] == 4
    assert len(written["images"]) == 4


def test_losses_that_are_read_late_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU: at the first step, where a line is logged, and before a validation; here steps 4, 8 and 3, 6, 9."""
    monkeypatch.setattr("anchorloc.engine.training.LOG_EVERY", 4)
    config, losses = small("train.length=10 iterations", "train.clip_norm=0.5"), list[Any]()

    def listen(event: RunEvent) -> None:
        if isinstance(event, StepDone):
            losses.append(event.losses)

    for name, waits in (("each", True), ("late", False)):
        monkeypatch.setattr(Learner, "waits", waits)
        training = open_run(config, tmp_path / name)
        training.events = listen
        training.run()
    assert_same_run(tmp_path / "each", tmp_path / "late")
    assert losses[10:] == [losses[step - 1] for step in (1, 1, 1, 4, 4, 4, 6, 8, 8, 9)]


def test_a_nan_that_is_read_late_names_its_step_and_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights stay, and no checkpoint comes after it."""
    monkeypatch.setattr("anchorloc.engine.training.LOG_EVERY", 4)
    monkeypatch.setattr(Learner, "waits", False)
    poison(monkeypatch, {2})
    config = small("train.length=9 iterations", "train.validate_every=100", "train.save_every=0.00001")
    training = open_run(config, tmp_path / "run")
    twin = Learner(config, config.data.open("train").categories, SINGLE_PROCESS)
    with pytest.raises(InputError, match=r"the loss became (nan|inf) at step 2, on a batch of 4 images"):
        training.run()
    written = json.loads((tmp_path / "run" / "not_finite.json").read_text())
    assert written["step"] == 2
    third = list(itertools.islice(TrainBatchSampler(24, 4, seed=0), 3))[2]
    assert written["images"] == [f"train_{index:06}.png" for _, index in third]
    assert weights(tmp_path / "run")["step"] == 1
    stream, clock = batches(train_loader(config, config.data.open("train"), 0)), Clock(config.train, images=24)
    for step in range(2):
        clock.step = step
        twin.update([next(stream)], clock.lr_factor(step / 9))
    assert_same(dict(training.learner.model.named_parameters()), dict(twin.model.named_parameters()))


def test_skipping_does_not_go_on_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    poison(monkeypatch, {1, 3, 4, 5, 6, 7})
    with pytest.raises(InputError, match=r"became (nan|inf) at step 5 after 2 skipped updates in a row, on"):
        run(small("train.length=9 iterations", "train.skip_nonfinite=2"), tmp_path / "run")
    state = weights(tmp_path / "run")
    assert (state["step"], state["training"]["skipped"]) == (3, 1)
    assert all(tensor.isfinite().all() for tensor in (*state["model"].values(), *state["training"]["model"].values()))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            [],
            "memory ran out with 4 images at a time .*: raise train.gradient_accumulation, now 1, which keeps",
        ),
        (["train.gradient_accumulation=4"], "memory ran out with 1 image at a time .*: lower transform.resize"),
    ],
)
def test_an_out_of_memory_error_names_the_settings_to_lower(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    def greedy(self: Detector, images: Tensor) -> Any:
        return torch.empty(1 << 55)

    monkeypatch.setattr(Detector, "forward", greedy)
    with pytest.raises(InputError, match=message):
        run_with_plain_network(small("train.length=2 iterations", *words), tmp_path / "run", monkeypatch)
    assert weights(tmp_path / "run")["step"] == 0


def run_with_plain_network(config: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run without the checks of the network, which run it."""
    monkeypatch.setattr("anchorloc.engine.training.refuse_single_values", lambda *_: None)
    monkeypatch.setattr("anchorloc.engine.build.refuse_other_grids", lambda *_: None)
    run(config, folder)


def test_a_killed_loader_worker_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the kernel does it where memory runs out."""
    monkeypatch.setattr(Samples, "__getitem__", lambda self, key: os.kill(os.getpid(), signal.SIGKILL))
    with pytest.raises(InputError, match=r"a loader worker was killed.*: lower train\.workers, now 1"):
        run(small("train.length=2 iterations", "train.workers=1"), tmp_path / "run")
