"""The seconds of a training step, which a plan takes as the measure of time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from anchorloc.config import Config
from anchorloc.data import Letterbox, Source
from anchorloc.engine import planning
from anchorloc.engine.planning import StepSeconds
from anchorloc.plan import Machine
from tests.engine.small_runs import small

CPU = Machine("cpu", cores=2, memory=1 << 34)
FIXED, PIXEL, READING = 0.06, 1e-6, 0.02


def timed(
    monkeypatch: pytest.MonkeyPatch, machine: Machine = CPU, processes: int = 1, reading: float = READING
) -> StepSeconds:
    """Return the seconds on a machine where steps take FIXED, and PIXEL for each pixel."""

    def trial(config: Config, source: Source, side: int, count: int) -> planning.Trial:
        pixels = count * side * side
        return planning.Trial(FIXED + PIXEL * pixels, pixels, reading)

    monkeypatch.setattr(planning, "trial", trial)
    return StepSeconds(small().data.open("train"), machine, processes)


def with_batch(size: int) -> Config:
    config = small()
    return replace(
        config,
        transform=replace(config.transform, resize=Letterbox(320, 320)),
        train=replace(config.train, batch_size=size),
    )


@pytest.mark.parametrize("size", [1, 4, 16])
def test_a_step_takes_the_same_part_for_every_batch_and_a_part_for_its_pixels(
    monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    seconds = timed(monkeypatch)(with_batch(size))
    assert seconds == pytest.approx(FIXED + size * (PIXEL * 320 * 320 + READING / CPU.cores))


def test_processes_share_the_batch_and_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = timed(monkeypatch, processes=2)(with_batch(8))
    assert seconds == pytest.approx(FIXED + 4 * PIXEL * 320 * 320 + 8 * READING / CPU.cores)


@pytest.mark.parametrize(("reading", "expected"), [(0.02, FIXED + 8 * PIXEL * 320 * 320), (1.0, 8 * 1.0 / 4)])
def test_beside_a_gpu_reading_takes_time_only_where_it_is_slower(
    monkeypatch: pytest.MonkeyPatch, reading: float, expected: float
) -> None:
    gpu = Machine("cuda", cores=4, memory=1 << 34, device_memory=1 << 34)
    assert timed(monkeypatch, gpu, reading=reading)(with_batch(8)) == pytest.approx(expected)


def test_a_trial_counts_the_pixels_of_its_batch() -> None:
    config = small()
    found = planning.trial(config, config.data.open("train"), side=64, count=3)
    assert found.pixels == 3 * 64 * 64
    assert found.step > 0
    assert found.reading > 0
