"""A run that starts from the weights of an earlier run keeps what that run has learned, with the default optimizer."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from anchorloc.engine.system.signals import Stopped
from anchorloc.engine.training import Training
from anchorloc.train import RunEvent, StepDone, StopTraining, Validated
from tests.engine.small_runs import small

EASY = [
    "data={kind: OneShapeData, train_images: 8, val_images: 8, size: 64, spread: 0.2}",
    "anchors={kind: AnchorGenerator, strides: [4, 8, 16], scales: [3]}",
    "detector.backbone={channels: [8, 16, 16], blocks: [1, 1, 1]}",
    "train.validate_every=0.5",
]


def followed(folder: Path, last: int, *overrides: str) -> tuple[list[float], list[Validated]]:
    """Train until step `last`; return the loss of every step, and the validations."""
    losses, validations = list[float](), list[Validated]()

    def listen(event: RunEvent) -> None:
        if isinstance(event, StepDone):
            losses.append(event.losses["loss"])
        if isinstance(event, Validated):
            validations.append(event)
            if event.step >= last:
                raise StopTraining

    config = small(*EASY, *overrides)
    folder.mkdir()
    training = Training(config, folder, config.data.open("train"), config.data.open("val"))
    training.events = listen
    with suppress(Stopped):
        training.run()
    return losses, validations


def test_a_start_from_own_weights_keeps_what_it_had(tmp_path: Path) -> None:
    """The first loss is the last one before; 50 steps up to the full learning rate do not lose the AP."""
    words = ["train.length=80 iterations", "train.validate_every=40", "train.ema=0.9"]
    before, ends = followed(tmp_path / "old", 80, *words)
    words = ["train.length=600 iterations", "train.validate_every=25", "train.warmup=50"]
    after, scores = followed(tmp_path / "new", 50, f"detector.weights={tmp_path / 'old' / 'best.pt'}", *words)
    learned = sum(before[-10:]) / 10
    assert learned < 0.6 * sum(before[:5]) / 5
    assert sum(after[:5]) / 5 < 1.3 * learned
    assert [one.step for one in scores] == [50]
    assert scores[-1].ap >= ends[-1].ap - 0.05
    assert scores[-1].ap50 >= ends[-1].ap50 - 0.1
