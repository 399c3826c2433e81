"""Progress of a run, the learning rate, and the time for validations."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from itertools import pairwise

import pytest

from anchorloc.config import TrainSettings
from anchorloc.engine.schedule import Annealing, Clock, ValidationTime
from anchorloc.errors import InputError


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


def resumed(before: TrainSettings, now: TrainSettings, step: int, seconds: float = 0.0) -> Clock:
    """A clock of `now` that has taken over a run of `before`."""
    clock = Clock(now, images=100)
    clock.resume(step, seconds, Annealing(), before, 100)
    return clock


def factors(clock: Clock) -> list[float]:
    """The factors of all steps to the end; the length is in iterations."""
    found, start = [], clock.step
    while clock.progress < 1:
        found.append(clock.lr_factor(clock.progress))
        clock.step += 1
    clock.step = start
    return found


BEFORE = TrainSettings(length="100 iterations", warmup=9)


@pytest.mark.parametrize("step", [0, 4, 20, 60, 99, 100])
@pytest.mark.parametrize("length", ["60 iterations", "101 iterations", "200 iterations", "3000 iterations"])
@pytest.mark.parametrize("rewarm", [0.05, 0.3, 1.0])
def test_the_rate_of_a_longer_or_shorter_run_does_not_jump(step: int, length: str, rewarm: float) -> None:
    clock = resumed(BEFORE, replace(BEFORE, length=length, rewarm=rewarm), step)
    reached = Annealing().factor(step, min(1.0, step / 100), 9)
    after = factors(clock)
    if clock.progress >= 1:
        assert not after
        return
    steps = [abs(second - first) for first, second in zip([reached, *after], [*after, 0.0], strict=True)]
    assert max(steps) <= max(0.1 + 1e-9, math.pi / 2 / (len(after)) + 0.1)  # one step of the rise, and of the cosine
    assert after[-1] == pytest.approx(0.0, abs=max(1.0, rewarm) * (math.pi / 2 / len(after)) ** 2 * 4)
    if length == "60 iterations":
        assert after == sorted(after, reverse=True) or step < 9


def test_a_run_that_had_ended_rises_again_to_the_setting() -> None:
    after = factors(resumed(BEFORE, replace(BEFORE, length="1100 iterations"), 100))
    assert after[0] == pytest.approx(0.03, rel=1e-3)
    assert max(after) == pytest.approx(0.3, rel=1e-3)
    assert after.index(max(after)) == 9


def test_a_run_that_was_stopped_early_keeps_its_rate_and_falls_more_slowly() -> None:
    clock = resumed(BEFORE, replace(BEFORE, length="200 iterations"), 50)
    after = factors(clock)
    assert after[0] == pytest.approx(0.5)
    assert after[75] == pytest.approx(0.25)
    assert after == sorted(after, reverse=True)


def test_a_run_that_was_stopped_in_its_warm_up_still_rises_to_the_full_rate() -> None:
    after = factors(resumed(BEFORE, replace(BEFORE, length="1000 iterations"), 4))
    assert after[0] == pytest.approx(0.55, rel=0.01)
    assert max(after) == pytest.approx(1.0, abs=0.01)


def test_the_same_length_changes_nothing() -> None:
    clock = resumed(BEFORE, replace(BEFORE, rewarm=1.0), 50)
    assert clock.annealing == Annealing()
    minutes = TrainSettings(length="2 minutes")
    assert resumed(minutes, minutes, 50, seconds=77.7).annealing == Annealing()


def test_a_length_in_minutes_continues_too() -> None:
    clock = resumed(replace(BEFORE, length="2 minutes"), replace(BEFORE, length="4 minutes"), 50, seconds=60.0)
    assert clock.progress_at_resume == 0.25
    assert clock.lr_factor(clock.progress_at_resume) == pytest.approx(0.5)
    assert clock.lr_factor(1.0) == 0.0


def test_a_second_extension_starts_from_the_first() -> None:
    first = resumed(BEFORE, replace(BEFORE, length="300 iterations", rewarm=0.0), 50)
    second = Clock(replace(BEFORE, length="500 iterations"), images=100)
    second.resume(150, 0.0, first.annealing, first.settings, 100)
    first.step = 150
    assert second.lr_factor(second.progress) == pytest.approx(first.lr_factor(first.progress))


def test_a_rate_that_would_stay_at_0_is_refused() -> None:
    told = r"the learning rate is 0 at step 100, the end of 100 iterations, and train\.rewarm=0 keeps it .*; set train"
    with pytest.raises(InputError, match=told):
        resumed(BEFORE, replace(BEFORE, length="200 iterations", rewarm=0.0), 100)
    resumed(BEFORE, replace(BEFORE, rewarm=0.0), 100)  # the run has ended


def validations(length: str, images: int, step: float, cost: float, resume_at: int = -1) -> tuple[list[float], float]:
    """Simulate a run of 100 images with steps of 4 of them and validations of `cost` seconds.

    Returns the epochs of its validations, and the seconds of the run.
    """
    settings = TrainSettings(length=length, batch_size=4)
    clock, spent, epochs, seconds, following = Clock(settings, images=100), ValidationTime(), [], 0.0, 0.5
    while True:
        if clock.step == resume_at:
            clock, spent = Clock(settings, images=100, step=clock.step), ValidationTime(spent.count, spent.seconds)
        clock.earlier_seconds, clock.started = seconds, time.perf_counter()
        ended = clock.progress >= 1
        if ended or (clock.epoch >= following and clock.has_time_to_validate(spent, images)):
            epochs.append(clock.epoch)
            spent.count, spent.seconds = spent.count + 1, spent.seconds + cost
            seconds, following = seconds + cost, clock.epoch + 0.5
        if ended:
            return epochs, seconds
        clock.step, seconds = clock.step + 1, seconds + step


@pytest.mark.parametrize("cost", [0.01, 0.3, 0.6, 1.1, 1.5])
def test_validations_take_a_tenth_of_the_minutes_at_most(cost: float) -> None:
    """20 images are expected to take 3 times 0.5 seconds."""
    epochs, seconds = validations("5 minutes", 20, 0.1, cost)
    assert len(epochs) * cost <= 0.1 * seconds + 1e-3
    gaps = [second - first for first, second in pairwise(epochs)]
    assert all(gap >= 0.5 for gap in gaps[:-1])
    assert gaps[-1] >= 0.25  # the last one does not follow at once
    assert len(epochs) >= 0.8 * min(0.1 * seconds / cost, seconds / 1.3)  # as many as fit; half an epoch takes 1.3 s
    assert validations("5 minutes", 20, 0.1, cost, resume_at=300)[0] == pytest.approx(epochs, abs=0.05)


def test_only_the_first_validation_may_take_longer_than_expected() -> None:
    assert len(validations("2 minutes", 5, 0.1, 9.0)[0]) == 2


def test_a_validation_that_takes_over_a_tenth_comes_at_the_end_alone() -> None:
    assert len(validations("1 minute", 1000, 0.1, 20.0)[0]) == 1


@pytest.mark.parametrize(
    ("length", "epochs"),
    [
        ("3 epochs", [0.52, 1.04, 1.56, 2.08, 2.6, 3.0]),
        ("32 iterations", [0.52, 1.28]),
        ("33 iterations", [0.52, 1.04, 1.32]),
        ("10 iterations", [0.4]),
    ],
)
def test_epochs_and_iterations_are_validated_by_the_step_alone(length: str, epochs: list[float]) -> None:
    assert validations(length, 100, 0.1, 100.0)[0] == pytest.approx(epochs)
