"""The loop: order, clock, average, and a run that is stopped and goes on as if it had not been."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

from anchorloc.config import TrainSettings
from anchorloc.detector import SGD, AdamW, Detector, Muon
from anchorloc.engine.batch_samplers import TrainBatchSampler, ValidationBatchSampler
from anchorloc.engine.build import build_detector
from anchorloc.engine.learner import AveragedModel
from anchorloc.engine.schedule import Clock
from anchorloc.engine.state.run_folder import new_run_folder
from anchorloc.engine.system.display import duration
from anchorloc.engine.trained_model import load_model
from anchorloc.errors import InputError
from tests.engine.small_runs import assert_same, run, small, weights


def test_an_epoch_has_every_image_once_and_batches_may_span_two() -> None:
    stream = list(islice(TrainBatchSampler(images=10, batch_size=4, seed=0), 5))
    flat = [key for batch in stream for key in batch]
    assert [len(batch) for batch in stream] == [4] * 5
    for epoch in (0, 1):
        assert sorted(index for e, index in flat if e == epoch) == list(range(10))
    assert [i for e, i in flat if e == 0] != [i for e, i in flat if e == 1]


def test_the_order_can_be_entered_anywhere() -> None:
    whole = list(islice(TrainBatchSampler(10, 4, seed=3), 20))
    assert list(islice(TrainBatchSampler(10, 4, seed=3, start=7), 13)) == whole[7:]
    assert list(islice(TrainBatchSampler(10, 4, seed=4), 20)) != whole


def test_processes_share_each_batch() -> None:
    whole = list(islice(TrainBatchSampler(10, 4, seed=3), 5))
    parts = [list(islice(TrainBatchSampler(10, 4, seed=3, shard=(rank, 2)), 5)) for rank in (0, 1)]
    assert [sorted(a + b) for a, b in zip(*parts, strict=True)] == [sorted(batch) for batch in whole]


def test_validation_sees_every_image_once_in_order() -> None:
    order = ValidationBatchSampler(10, 4)
    assert [index for batch in order for _, index in batch] == list(range(10))
    assert len(order) == len(list(order)) == 3


@pytest.mark.parametrize(
    ("length", "step", "progress"), [("10 iterations", 5, 0.5), ("2 epochs", 5, 5 / 50), ("1 epoch", 25, 1.0)]
)
def test_progress_by_steps(length: str, step: int, progress: float) -> None:
    assert Clock(TrainSettings(length=length, batch_size=4), images=100, step=step).progress == progress


def test_progress_by_minutes_counts_what_was_before() -> None:
    clock = Clock(TrainSettings(length="1 minute"), images=100, earlier_seconds=30.0)
    clock.start()
    assert 0.5 <= clock.progress < 0.6


def test_the_rate_warms_up_and_falls_to_zero() -> None:
    clock = Clock(TrainSettings(length="100 iterations", warmup=9), images=100)
    assert clock.lr_factor(0.0) == pytest.approx(0.1)
    clock.step = 50
    assert clock.lr_factor(clock.progress) == pytest.approx(0.5)
    assert clock.lr_factor(1.0) == pytest.approx(0.0, abs=1e-12)


def test_the_average_follows_the_model() -> None:
    model = torch.nn.BatchNorm1d(2)
    average = AveragedModel(model, decay=0.9)
    with torch.no_grad():
        model.weight.fill_(3.0)
    assert model.num_batches_tracked is not None
    model.num_batches_tracked.fill_(5)
    average.update()
    assert isinstance(average.module, torch.nn.BatchNorm1d)
    assert average.module.weight.tolist() == pytest.approx([1 + 2 * (1 - 2 / 11)] * 2)  # decay (1 + 1) / (10 + 1)
    assert average.module.num_batches_tracked == 5
    for _ in range(200):
        average.update()
    assert isinstance(average.module, torch.nn.BatchNorm1d)
    assert average.module.weight.tolist() == pytest.approx([3.0, 3.0])


@pytest.mark.parametrize("optimizer", [AdamW(0.01), Muon(0.01)])
def test_optimizers_reach_every_weight_and_lower_the_loss(optimizer: AdamW | Muon) -> None:
    torch.manual_seed(0)
    model = build_detector(small(), 4).to(memory_format=torch.channels_last)
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    stepper = optimizer(model)
    images = torch.randint(0, 255, (4, 3, 96, 96), dtype=torch.uint8)
    losses = []
    for _ in range(8):
        predictions = model(images)
        loss = (predictions.logits - 1).pow(2).mean() + (predictions.deltas - 0.5).pow(2).mean()
        loss.backward()
        stepper.step(1.0)
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert all(not torch.equal(weight, before[name]) for name, weight in model.named_parameters())
    assert all(weight.grad is None for weight in model.parameters())


@pytest.mark.parametrize("optimizer", [AdamW, SGD, Muon])
def test_settings_of_an_optimizer_are_those_it_was_built_with(optimizer: type[AdamW | SGD | Muon]) -> None:
    """A run resumed with another learning rate, by --allow-changes, learns at that one."""
    model = build_detector(small(), 4).to(memory_format=torch.channels_last)
    then, now = optimizer(0.01, weight_decay=0.3)(model), optimizer(0.0001, weight_decay=0.2)(model)
    for weight in model.parameters():
        weight.grad = torch.ones_like(weight)
    then.step(0.5)
    now.load_state_dict(then.state_dict())
    groups = [group for part in now.parts for group in part.param_groups]
    assert {group["full_rate"] for group in groups} == {0.0001}
    assert {group["weight_decay"] for group in groups} == {0.2, 0.0}
    assert all(part.state for part in now.parts)


def test_muon_steps_are_orthogonal_and_as_long_as_adamws() -> None:
    torch.manual_seed(0)
    model = build_detector(small(), 4).to(memory_format=torch.channels_last)
    kernel = model.pyramid.smooth[0].conv.weight  # type: ignore[index, union-attr]
    before = kernel.detach().clone()
    stepper = Muon(0.01, weight_decay=0.0, iterations=5)(model)
    kernel.grad = torch.randn_like(kernel)
    stepper.step(1.0)
    update = (kernel.detach() - before).permute(0, 2, 3, 1).flatten(1)
    singular = torch.linalg.svdvals(update)
    assert singular.min() > 0.5 * singular.max()  # of a random matrix this would be near 0
    assert update.pow(2).mean().sqrt().item() == pytest.approx(0.2 * 0.01, rel=0.3)


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
    told = r"the loss became nan at step 0, by one of 4 images \(first: (train_\d+\.png(, )?){4}; all in .*not_finite"
    with pytest.raises(InputError, match=told):
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


def test_a_checkpoint_gives_the_averaged_weights_back(tmp_path: Path) -> None:
    training = run(small("train.length=2 iterations"), tmp_path / "run")
    model = load_model(tmp_path / "run" / "last.pt", ["decode.nms_iou=0.3"])
    assert model.config.decode.nms_iou == 0.3
    assert [category.name for category in model.categories] == ["ellipse", "rectangle", "triangle", "cross"]
    assert_same(dict(model.network.state_dict()), dict(training.learner.average.module.state_dict()))
    with pytest.raises(InputError, match="does not fit the network"):
        load_model(tmp_path / "run" / "last.pt", ["detector.head.channels=24"])


def test_run_folders_are_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = new_run_folder(tmp_path / "a" / "b")
    assert folder.is_dir()
    (folder / "config.yaml").touch()
    with pytest.raises(InputError, match="exists already"):
        new_run_folder(folder)
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot be made: Not a directory"):
        new_run_folder(tmp_path / "file" / "deeper" / "run")
    with pytest.raises(InputError, match="cannot be made"):
        new_run_folder(tmp_path / "file" / "run")
    monkeypatch.chdir(tmp_path)
    assert new_run_folder(None).parent.name == "runs"


def test_the_log_can_be_read_by_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anchorloc.engine.training.LOG_EVERY", 2)
    run(small("train.length=4 iterations"), tmp_path / "run")
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    steps = [row for row in rows if "loss" in row]
    assert [row["step"] for row in steps] == [2, 4]
    assert all(row["loss"] == pytest.approx(row["classification_loss"] + row["box_loss"]) for row in steps)
    assert {"val/AP", "val/AP50", "val/loss", "epoch", "seconds"} <= set(rows[-1])
    assert list((tmp_path / "run" / "tensorboard").glob("events*"))


def test_durations() -> None:
    assert [duration(s) for s in (0, 59.6, 61, 3661)] == ["0:00", "1:00", "1:01", "1:01:01"]


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
