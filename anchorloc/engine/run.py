"""Start or resume a run, and write its report."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch

from anchorloc.config import Config, read_saved_config, to_plain
from anchorloc.engine.events import Listener, RunEvent, ignore
from anchorloc.engine.outcome import (
    patience_sentence,
)
from anchorloc.engine.preparation import (
    PLAN,
    check_boxes,
    check_prospects,
    in_tiles,
    open_data,
    print_command,
    say_start,
    show_plan,
)
from anchorloc.engine.run_report import report_run
from anchorloc.engine.run_result import Run
from anchorloc.engine.state.resume import BEST, load_last, resume_command
from anchorloc.engine.state.resume_check import Change, find_changes, identity_of
from anchorloc.engine.state.run_folder import (
    CONFIG,
    RunLock,
    create_run_folder,
    refuse_used_folder,
    remove_temporaries,
    write_config,
)
from anchorloc.engine.system.display import RunConsole, RunDisplay, waiting
from anchorloc.engine.system.processes import Processes, process_group, restarted, restarts_enabled
from anchorloc.engine.system.signals import Stopped
from anchorloc.engine.training import Training
from anchorloc.errors import InputError
from anchorloc.files import write_json
from anchorloc.plan import PlanRequest, plan_rows
from anchorloc.report_folder import ReportFolder
from anchorloc.startup import say_what_is_late
from anchorloc.structures import categories_of
from anchorloc.text import counted, printable


@dataclass(frozen=True)
class Caller:
    """The command line or the program that asked for a run."""

    command: str  # as the run's folder records it
    started: float  # time.perf_counter()
    console: RunConsole
    events: Listener = ignore


def start_run(
    out: Path | None, config: Config, caller: Caller, request: PlanRequest | None = None, force: bool = False
) -> Run:
    """Train in a new folder, until the report is written or a signal or a listener ends the run.

    With `request`, `config` gives the data, and the plan the settings. `force` trains even if no box has an anchor. A
    process that torchrun started in place of one that died resumes the run in `out`.

    Raises:
        InputError: settings, data or the file system do not allow it; nothing is left behind.
    """
    with process_group(config.train.device) as processes, ExitStack() as stack:
        stack.callback(torch.set_num_threads, torch.get_num_threads())  # a program that calls this keeps its threads
        if out is None and restarts_enabled():
            raise InputError(
                "torchrun --max-restarts needs --out, so that restarted processes find the run; give --out DIR"
            )
        (resumes,) = processes.broadcast(out is not None and restarted() and (out / CONFIG).is_file())
        if out is not None and resumes:
            config = config if request is None else read_saved_config(out / CONFIG)  # a plan is not made anew
            return _resume(out, config, caller, False, processes, stack)
        if processes.first:
            refuse_used_folder(out)
        console = caller.console
        train, val, test = open_data(config, console)
        concerns = check_boxes(config, (train, val, test), console, force)
        plan = None
        if request is not None:
            plan = show_plan(request, (train, val), console, processes)
            config = plan.config
            train = in_tiles(config, train)
        concerns += check_prospects(config, train, console, force)
        with waiting(console, "building the network and loading its weights"):
            training = Training(config, out or Path(), train, val, processes)
        training.concerns.extend(concerns)
        training.test = test
        say_start(config, train, val, training.learner.not_loaded, console)
        if processes.first:
            training.saver.folder, lock = create_run_folder(out, config, caller.command)
            stack.callback(lock.release)
            if plan is not None:
                write_json(training.saver.folder / PLAN, plan_rows(plan.choices))
        return _run(training, caller)


def resume_run(folder: Path, config: Config, caller: Caller, allow_changes: bool = False) -> Run:
    """Resume the run in `folder`, with the settings of `read_run_config`.

    Settings, data and classes must be unchanged, unless `allow_changes`.

    Raises:
        InputError: another process writes to it, its checkpoint is damaged, or settings or data have changed.
    """
    with process_group(config.train.device) as processes, ExitStack() as stack:
        stack.callback(torch.set_num_threads, torch.get_num_threads())  # a program that calls this keeps its threads
        return _resume(folder, config, caller, allow_changes, processes, stack)


def _resume(
    folder: Path,
    config: Config,
    caller: Caller,
    allow_changes: bool,
    processes: Processes,
    stack: ExitStack,
) -> Run:
    """Resume inside a process group; `stack` releases the lock on the folder."""
    saved, console = folder / CONFIG, caller.console
    if processes.first:
        stack.callback(RunLock(folder).release)
        remove_temporaries(folder)
    state = load_last(folder, console.warn, processes.first)
    train, val, test = open_data(config, console, () if state is None else categories_of(state["categories"]))
    concerns = check_prospects(config, train, console, force=True)
    with waiting(console, "building the network and loading its weights"):
        training = Training(config, folder, train, val, processes, pretrained=state is None)
    training.concerns.extend(concerns)
    training.test = test
    then = {"config": to_plain(read_saved_config(saved))} if state is None else identity_of(state)
    changes = find_changes(then, training.identity)
    check_changes(folder, changes, allow_changes, console)
    if state is None:
        console.print(f"{folder} has no checkpoint yet: the run starts from step 0", markup=False)
    else:
        training.resume(state, console.warn, changes)
        console.print(_resume_sentence(training), highlight=False, soft_wrap=True)
    if processes.first and config != read_saved_config(saved):
        write_config(folder, config, caller.command)
    return _run(training, caller)


def _resume_sentence(training: Training) -> str:
    """Return the step from which a restored run continues, its learning rate and its best validation."""
    clock, settings, best = training.clock, training.config.train, training.progress.best
    progress, annealing = clock.progress_at_resume, clock.annealing
    rate = clock.lr_factor(progress) * settings.optimizer.learning_rate
    rising = annealing.step + settings.warmup - clock.step if annealing.peak > annealing.start else 0
    return (
        f"resuming from step {clock.step} ({min(1.0, progress):.0%} of {settings.length}): learning rate {rate:.1e}"
        + (f", rising for {counted(rising, 'step')}" if rising > 0 else "")
        + (f", best AP {best.ap:.3f} at step {best.step}" if best.step else ", no best checkpoint yet")
    )


def check_changes(folder: Path, changes: Sequence[Change], allowed: bool, console: RunConsole) -> None:
    """Print what has changed since the run in `folder` was stopped.

    Raises:
        InputError: something has changed, and changes are not `allowed`.
    """
    if changes and not allowed:
        more = f" (and {len(changes) - 1} more)" if len(changes) > 1 else ""
        raise InputError(
            f"the run in {folder} was trained with {changes[0]}{more}; undo the change, or give --allow-changes to "
            "resume with it"
        )
    for change in changes:
        console.print(f"changed: the run was trained with {printable(str(change))}", markup=False, highlight=False)


def _run(training: Training, caller: Caller) -> Run:
    """Train, then judge the best weights and write the report."""
    console, display = caller.console, RunDisplay(caller.console)
    threads, device, folder = torch.get_num_threads(), training.learner.device, training.saver.folder
    if device.type == "cpu":
        say_what_is_late(threads)
    shared = f", {training.processes.count} processes" if training.processes.count > 1 else ""
    console.print(f"training for {training.config.train.length} on {device} ({threads} threads{shared}) in {folder}")
    if training.config.train.compile:
        console.print("the first steps compile the network, which may take minutes", highlight=False)

    def listen(event: RunEvent) -> None:
        display(event)
        caller.events(event)

    training.events = listen
    report: ReportFolder | None = None
    stop_signal: int | None = None
    try:
        with display:
            training.run()
        best = training.progress.best
        if sentence := patience_sentence(training.config.train, best.ap, best.validations_since):
            console.print(sentence, highlight=False)
        report = report_run(training, console, caller.started)
    except Stopped as stopped:
        stop_signal = stopped.signal_number
        console.print(f"stopped and saved at step {training.clock.step}; resume with", highlight=False)
        print_command(console, resume_command(folder, training.config))
    best = training.progress.best
    return Run(
        folder=folder,
        metrics={} if report is None else report.metrics,
        report=None if report is None else report.report,
        warnings=tuple(dict.fromkeys([*console.warnings, *(() if report is None else report.warnings)])),
        steps=training.clock.step,
        best=folder / BEST if best.step else None,
        best_step=best.step,
        best_ap=best.ap if best.step else None,
        stop_signal=stop_signal,
    )
