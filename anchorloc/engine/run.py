"""Start or resume a run, and write its report."""

from __future__ import annotations

import copy
import shlex
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from anchorloc.config import Config, read_saved_config, to_plain
from anchorloc.engine.evaluation import detect
from anchorloc.engine.events import Listener, RunEvent, ignore
from anchorloc.engine.judge import RESAMPLES, THREADS
from anchorloc.engine.judge_model import judge
from anchorloc.engine.outcome import (
    POOR_AP50,
    changed_settings,
    data_path,
    outcome_sentence,
    patience_sentence,
    run_heading,
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
from anchorloc.engine.run_result import Run
from anchorloc.engine.state.resume import BEST, evaluate_command, load_last, resume_command
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
from anchorloc.engine.system.log import read_log
from anchorloc.engine.system.processes import Processes, process_group, restarted, restarts_enabled
from anchorloc.engine.system.signals import Stopped
from anchorloc.engine.trained_model import TrainedModel, for_inference, load_model
from anchorloc.engine.training import Training
from anchorloc.errors import InputError
from anchorloc.files import write_json
from anchorloc.metrics.analysis import AnalysisOptions
from anchorloc.plan import PlanRequest, plan_rows
from anchorloc.report import training_charts, write_and_print_report
from anchorloc.report_folder import ReportFolder
from anchorloc.startup import say_what_is_late
from anchorloc.structures import categories_of
from anchorloc.text import counted, duration, printable

MAX_ANALYZED = 300_000  # detections: with more, the analysis takes long and is left to `anchorloc evaluate`


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
        report = _report(training, console, caller.started)
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


def _report(training: Training, console: RunConsole, started: float) -> ReportFolder | None:
    """Judge best.pt on the test split, or else on val, write the report into the run folder and print its numbers.

    All processes share the inference; the first one does the rest, and the others return None.
    """
    folder, processes = training.saver.folder, training.processes
    scored = training.val if training.test is None else training.test
    if processes.first:
        model = load_model(folder / BEST)
    else:
        learner = training.learner
        network = for_inference(copy.deepcopy(learner.average.module), training.config, learner.device)
        model = TrainedModel(training.config, scored.categories, 0, network, learner.device)
    processes.broadcast_model(model.network)
    found = detect(model, scored, processes)
    if not processes.first:
        return None
    options = AnalysisOptions(resamples=RESAMPLES, threads=THREADS)
    judgment = judge(model, scored, found, options, f"{BEST}, from step {training.progress.best.step:,},", MAX_ANALYZED)
    for warning in judgment.warnings:
        console.warn(warning)
    history = read_log(folder)
    trained = max((row["seconds"] for row in history), default=0.0)
    total = duration(time.perf_counter() - started)
    poor = (judgment.evaluation.summary.ap50 or 0.0) < POOR_AP50
    judgment = replace(
        judgment,
        title=f"{folder.name}: {'validation' if training.test is None else 'test'}",
        heading=run_heading(
            training.config, (len(training.train), len(training.val)), training.clock.step, training.learner.device.type
        ),
        charts=training_charts(history),
        facts={
            **judgment.facts,
            **_choice_facts(training),
            "training": duration(trained),
            "from start to report": total,
            "settings": changed_settings(training.config),
        },
        warnings=[*scored.warnings, *judgment.warnings, *(training.concerns if poor else ())],
    )
    report = write_and_print_report(folder, judgment, console)
    if judgment.analysis is None:
        sentence = f"over {MAX_ANALYZED:,} detections: for confidence intervals, errors and thresholds run"
        console.print(sentence, highlight=False)
        print_command(console, evaluate_command(folder, training.config))
    labels = data_path(training.config)
    if sentence := outcome_sentence(history, "" if labels is None else shlex.quote(str(labels))):
        console.print(printable(sentence), highlight=False, markup=False)
    console.print(f"report: {report.report} ({total} from start to report)", highlight=False, markup=False)
    return report


def _choice_facts(training: Training) -> dict[str, object]:
    """Return what a report says of the split that chose the checkpoint, whose numbers are too good for it."""
    best = training.progress.best
    if training.test is None:
        chosen = f"which chose step {best.step:,} as the best: the numbers are somewhat too good"
        return {"scored on": f"val, {'once' if training.progress.validations.count == 1 else chosen}"}
    return {"scored on": "test, once", "AP on val, which chose the checkpoint": f"{best.ap:.3f} at step {best.step:,}"}
