"""What a listener of a run gets, and how it ends the run."""

from __future__ import annotations

import dataclasses
import signal
import threading
from pathlib import Path

import pytest

from anchorloc.engine.events import (
    CheckpointSaved,
    Logged,
    RunEvent,
    RunStopped,
    RunWarned,
    StepDone,
    StopTraining,
    Validated,
    Validating,
)
from anchorloc.engine.system.display import RunConsole, RunDisplay
from anchorloc.engine.system.log import read_log
from anchorloc.engine.system.signals import CANCELED, Stopped, collected_signals
from anchorloc.engine.training import Training
from anchorloc.report.captions import AP_MEANING
from tests.engine import small_runs
from tests.engine.small_runs import small, weights

STEP = StepDone(
    step=40, epoch=2.5, progress=0.1, seconds=60.0, images_per_second=9.5, losses={"loss": 2.0}, best_ap=0.0
)
SCORED = Validated(3, 0.5, 61.0, 0.25, 0.5, {"loss": 1.5}, is_best=True, remark="best so far")


def open_run(folder: Path) -> Training:
    return small_runs.open_run(small("train.length=4 iterations"), folder)


def test_a_listener_gets_every_step_validation_and_checkpoint(tmp_path: Path) -> None:
    training, events = open_run(tmp_path / "run"), list[RunEvent]()
    training.events = events.append
    training.run()
    scored = [event for event in events if isinstance(event, Validated)]
    validation = [Validating, Validating, Logged, Validated, CheckpointSaved]
    kinds = [CheckpointSaved, *[StepDone] * 3, *validation, StepDone, *validation]
    assert [type(event) for event in events] == kinds
    assert [event.step for event in events] == [0, 1, 2, *[3] * 6, *[4] * 6]
    logged = read_log(tmp_path / "run")
    assert [{"step": one.step, **one.numbers} for one in events if isinstance(one, Logged)] == logged
    assert [(one.step, one.ap, one.losses["loss"]) for one in scored] == [
        (row["step"], row["val/AP"], row["val/loss"]) for row in logged
    ]
    steps = [event for event in events if isinstance(event, StepDone)]
    assert [one.progress for one in steps] == [0.25, 0.5, 0.75, 1.0]
    assert [one.best_ap for one in steps] == [None, None, None, scored[0].ap]
    assert all(set(one.losses) == {"loss", "classification_loss", "box_loss"} for one in steps)
    (last,) = [event for event in events[-1:] if isinstance(event, CheckpointSaved)]
    assert last.path == tmp_path / "run" / "last.pt"
    assert last.is_best == scored[-1].is_best == (weights(tmp_path / "run", "best.pt")["step"] == 4)


def test_a_listener_ends_a_run_that_can_be_resumed(tmp_path: Path) -> None:
    training, events = open_run(tmp_path / "run"), list[RunEvent]()

    def listen(event: RunEvent) -> None:
        events.append(event)
        if event.step == 2:
            raise StopTraining

    training.events = listen
    with pytest.raises(Stopped) as stopped:
        training.run()
    assert stopped.value.signal_number == CANCELED > max(signal.valid_signals())
    assert [type(event) for event in events[-3:]] == [StepDone, CheckpointSaved, RunStopped]
    assert events[-1] == RunStopped(2, tmp_path / "run", f"anchorloc train --resume --out {tmp_path / 'run'}")
    assert weights(tmp_path / "run")["step"] == 2


def test_stopping_at_the_last_event_changes_nothing(tmp_path: Path) -> None:
    training = open_run(tmp_path / "run")

    def listen(event: RunEvent) -> None:
        if isinstance(event, CheckpointSaved) and event.step == 4:
            raise StopTraining

    training.events = listen
    training.run()
    assert training.clock.step == 4


def test_other_threads_leave_the_signal_handlers_alone() -> None:
    seen = []

    def look() -> None:
        with collected_signals([]):
            seen.append(signal.getsignal(signal.SIGINT))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    with collected_signals([]):
        seen.append(signal.getsignal(signal.SIGINT))
    assert seen[0] is before is signal.getsignal(signal.SIGINT)
    assert seen[1] is not before


def test_events_are_read_only_and_print_as_one_line() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        STEP.step = 1  # type: ignore[misc]
    assert str(STEP) == "step 40 of about 400, epoch 2.5, 9:00 left, 9.5 images/s"
    later = dataclasses.replace(STEP, images_per_second=10.4, best_ap=0.1234)
    assert str(later) == "step 40 of about 400, epoch 2.5, 9:00 left, 10 images/s, best AP 0.123"
    assert str(Validating(40, 3, 12)) == "step 40: validating, batch 3 of 12"
    assert str(SCORED) == "epoch 0.5, step 3, 1:01: AP 0.250, AP50 0.500, val loss 1.500, best so far"
    assert str(CheckpointSaved(3, Path("a/last.pt"), True)) == "step 3: saved a/last.pt and best.pt"
    assert str(CheckpointSaved(3, Path("a/last.pt"), False)) == "step 3: saved a/last.pt"
    assert str(Logged(3, {"epoch": 0.5, "val/AP": 0.123456})) == "step 3: epoch 0.5, val/AP 0.1235"
    assert str(RunWarned(7, "x")) == "step 7: warning: x"
    assert str(RunStopped(5, Path("a"), "b c")) == "stopped and saved at step 5; resume with `b c`"


def test_a_long_validation_is_shown_by_time(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anchorloc.engine.system.display.PLAIN_INTERVAL", 0)
    with RunDisplay(RunConsole()) as display:
        display(STEP)
        display(Validating(40, 3, 12))
    assert capsys.readouterr().out == f" 10% {STEP}\n 10% step 40: validating, batch 3 of 12\n"


def test_a_quiet_console_shows_nothing_and_remembers_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    """In a terminal too, where rich would take over what a listener prints."""
    console = RunConsole(quiet=True, force_terminal=True)
    with RunDisplay(console) as display:
        print("from a listener")
        for event in (STEP, SCORED, RunWarned(7, "too few")):
            display(event)
    assert capsys.readouterr().out == "from a listener\n"
    assert console.warnings == ["too few"]
    shown = RunConsole()
    with RunDisplay(shown) as display:
        display(SCORED)
        display(SCORED)
    assert capsys.readouterr().out == f"{SCORED}\n  {AP_MEANING}\n{SCORED}\n"  # explained once
