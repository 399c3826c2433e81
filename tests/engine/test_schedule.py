"""Progress of a run, and the learning rate."""

from __future__ import annotations

import pytest

from anchorloc.config import TrainSettings
from anchorloc.engine.schedule import Clock


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


def test_the_learning_rate_grows_with_the_batch_where_asked_for() -> None:
    plain, scaled = (
        Clock(TrainSettings(length="9 iterations", batch_size=24, warmup=0, base_batch_size=base), images=100)
        for base in (0, 16)
    )
    assert scaled.lr_factor(0.3) == pytest.approx(1.5 * plain.lr_factor(0.3))
