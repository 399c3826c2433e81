"""A run from its first line to its report."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console

from anchorloc.config import Config, read_config
from anchorloc.data import Source, check_same_categories
from anchorloc.engine.coverage import coverage
from anchorloc.engine.display import Display, duration
from anchorloc.engine.judging import facts_of, judge, load_model
from anchorloc.engine.processes import joined_processes
from anchorloc.engine.run import describe_run, new_run_folder, read_log, refuse_existing
from anchorloc.engine.signals import Stopped
from anchorloc.engine.training import Training
from anchorloc.errors import InputError, printable
from anchorloc.report import pick_pictures, print_evaluation, training_charts, write_report


def start_run(out: Path | None, config: Config, command: str, started: float) -> int:
    """Train by `config` in a new folder and return the exit status; `started` is when the process began.

    Raises:
        InputError: settings, data or file system do not allow it; nothing is left behind then.
    """
    with joined_processes() as processes:
        if processes.first:
            refuse_existing(out)
        console = Console(quiet=not processes.first)
        training = Training(config, Path(), *open_data(config, console), processes)
        for part in training.left_out:
            text = f"not loaded from {config.detector.weights}: {part}"
            console.print(printable(text), markup=False, highlight=False)
        if processes.first:
            training.folder = new_run_folder(out)
            describe_run(training.folder, config, command)
        return _run(training, console, started)


def continue_run(folder: Path, path: Path | None, overrides: Sequence[str], started: float) -> int:
    """Go on with the run in `folder` and return the exit status; settings, if given, must be the same.

    Raises:
        InputError: there is no run, its checkpoint is damaged, or settings or data have changed.
    """
    saved = folder / "config.yaml"
    if not saved.is_file():
        raise InputError(f"{folder} is not the folder of a run: it has no config.yaml")
    config = read_config(path or saved, overrides)
    with joined_processes() as processes:
        console = Console(quiet=not processes.first)
        training = Training(config, folder, *open_data(config, console), processes)
        training.resume()
        return _run(training, console, started)


def open_data(config: Config, console: Console) -> tuple[Source, Source]:
    """Open both splits, print what is odd about them, and look at every file once before the work begins."""
    sources = config.data.open("train"), config.data.open("val")
    check_same_categories(*sources)
    for split, source in zip(("train", "val"), sources, strict=True):
        boxes = sum(len(source.target(index)) for index in range(len(source)))
        console.print(f"{split}: {len(source):,} images, {boxes:,} boxes, {len(source.categories)} classes")
        for warning in (*source.warnings, *source.check_images()):
            console.print(f"  warning: {printable(warning)}", markup=False, highlight=False)
    console.print(coverage(config, sources[0]), highlight=False)
    return sources


def _run(training: Training, console: Console, started: float) -> int:
    """Train, then judge the best weights and write the report."""
    threads, device = torch.get_num_threads(), training.device
    console.print(f"training for {training.config.train.length} on {device} ({threads} threads) in {training.folder}")
    try:
        with Display(console) as display:
            training.run(display)
    except Stopped as stopped:
        console.print(f"stopped at step {training.clock.step}; go on with --resume --out {training.folder}")
        return stopped.exit_status
    if training.processes.first:
        report(training.folder, training.val, console, started)
    return 0


def report(folder: Path, val: Source, console: Console, started: float) -> None:
    """Judge best.pt on `val`, write the report into the run's folder and print its numbers."""
    model = load_model(folder / "best.pt")
    evaluation, detections = judge(model, val)
    history = read_log(folder)
    trained = max((row["seconds"] for row in history), default=0.0)
    pictures, problems = pick_pictures(val, detections, evaluation)
    total = duration(time.perf_counter() - started)
    facts = {**facts_of(model), "training": duration(trained), "from start to report": total}
    title = f"{folder.name}: validation"
    charts = training_charts(history)
    page = write_report(folder, evaluation, title, pictures, charts, facts, [*val.warnings, *problems])
    print_evaluation(evaluation, console)
    console.print(f"report: {page} ({total} from start to report)", highlight=False, markup=False)
