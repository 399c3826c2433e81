"""A run that gets too little CPU time is noticed, and one whose threads have nothing to do is not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from anchorloc.engine.system import starvation
from anchorloc.engine.system.starvation import STEPS, StarvationWatch, queued_seconds


@dataclass
class Machine:
    """Clocks that move only when a step runs."""

    wall: float = 0.0
    cpu: float = 0.0
    queued: float = 0.0

    def perf_counter(self) -> float:
        return self.wall

    def process_time(self) -> float:
        return self.cpu

    def run(self, watch: StarvationWatch, steps: int, wall: float, cpu: float, queued: float) -> str | None:
        """Run steps of these seconds, with a wait for data between them; return the last sentence."""
        sentence = None
        for _ in range(steps):
            with watch:
                self.wall, self.cpu, self.queued = self.wall + wall, self.cpu + cpu, self.queued + queued
            self.wall += 100
            sentence = watch.sentence() or sentence
        return sentence


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    clocks = Machine()
    monkeypatch.setattr(starvation, "time", clocks)
    monkeypatch.setattr(starvation, "queued_seconds", lambda: clocks.queued)
    monkeypatch.setattr(starvation, "cpu_quota", lambda: None)
    return clocks


def test_a_starved_run_is_said_once(machine: Machine) -> None:
    watch = StarvationWatch(threads=2)
    assert machine.run(watch, STEPS - 1, wall=1.0, cpu=0.8, queued=0.5) is None
    sentence = machine.run(watch, 1, wall=1.0, cpu=0.8, queued=0.5)
    assert sentence is not None
    assert "40% of the CPU time that its 2 threads could use" in sentence
    assert "other processes use the cores" in sentence
    assert "train.threads=1" in sentence
    assert machine.run(watch, 3 * STEPS, wall=1.0, cpu=0.8, queued=0.5) is None


@pytest.mark.parametrize(
    ("cpu", "queued"),
    [(1.6, 0.5), (0.4, 0.1)],  # enough CPU time; little work that waits for no core
)
def test_a_run_on_an_idle_machine_is_not_starved(machine: Machine, cpu: float, queued: float) -> None:
    assert machine.run(StarvationWatch(threads=2), 3 * STEPS, wall=1.0, cpu=cpu, queued=queued) is None


def test_later_steps_are_judged_too(machine: Machine) -> None:
    watch = StarvationWatch(threads=2)
    assert machine.run(watch, STEPS, wall=1.0, cpu=1.9, queued=0.0) is None
    assert machine.run(watch, STEPS, wall=9.0, cpu=1.9, queued=8.0) is not None


def test_a_quota_is_named(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starvation, "cpu_quota", lambda: 0.25)
    sentence = machine.run(StarvationWatch(threads=1), STEPS, wall=1.0, cpu=0.25, queued=0.0)
    assert sentence is not None
    assert "1 thread could use" in sentence
    assert "allows 0.25 cores: raise the quota" in sentence
    assert "train.threads" not in sentence


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="needs the scheduler's counts of Linux")
def test_the_wait_for_a_core_is_read(tmp_path: Path) -> None:
    assert queued_seconds() >= 0
    for name, text in {"1": "5 2000000000 7\n", "2": "5 500000000 7\n", "3": "", "4": "5 x 7\n"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "schedstat").write_text(text)
    assert queued_seconds(tmp_path) == 2.5
