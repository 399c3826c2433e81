"""A study from its file to its report."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from rich.console import Console

from anchorloc.compare.jobs import Failure
from anchorloc.compare.local import run_here
from anchorloc.compare.outcome import outcome
from anchorloc.compare.progress import Progress
from anchorloc.compare.record import Record
from anchorloc.compare.report import print_study, write_study
from anchorloc.compare.study_file import Study, read_study
from anchorloc.compare.study_folder import StudyFolder, open_folder
from anchorloc.data import Source, check_same_categories
from anchorloc.engine.localizing import refuse_other_counts
from anchorloc.engine.system.display import duration
from anchorloc.engine.system.signals import Stopped
from anchorloc.errors import InputError
from anchorloc.text import printable


def compare(path: Path, out: Path, engine: str, address: str | None, command: str) -> int:
    """Make the runs of the study in `path` that `out` lacks, judge them, report, and return the exit status.

    Raises:
        InputError: the study, its data or the folder do not allow it.
    """
    console = Console()
    study = read_study(path)
    train, val = _open_data(study, console)
    folder = open_folder(out, study, train, val)
    try:
        results = _run(folder, train, val, engine, address, command, console)
        result = outcome(folder, results, val)
        # Written before anything is printed: a closed pipe (`| head`) ends the command there.
        page = write_study(folder.path, result, {"command": command, **_machine(results)})
        print_study(result, Console(highlight=False))
        console.print(f"report: {printable(str(page))}", highlight=False, markup=False, soft_wrap=True)
        return 1 if any(isinstance(result, Failure) for result in results) else 0
    except Stopped as stopped:
        console.print("stopped, saved; the same command goes on:", highlight=False)
        console.print(f"  {printable(command)}", highlight=False, markup=False, soft_wrap=True)
        return stopped.exit_status
    finally:
        folder.lock.release()


def _open_data(study: Study, console: Console) -> tuple[Source, Source]:
    """Open both splits and look at every file once, before the work begins."""
    train, val = study.data.data.open("train"), study.data.data.open("val")
    check_same_categories(train, val)
    if len(val) < 2:
        raise InputError(f"{study.path}: data: val has {len(val)} of the 2 images that intervals need; give more")
    for split, source in (("train", train), ("val", val)):
        refuse_other_counts(study.data, source, split)
    for source in (train, val):
        for warning in (*source.warnings, *source.check_images()):
            console.print(f"warning: {printable(warning)}", markup=False, highlight=False)
    return train, val


def _run(
    folder: StudyFolder,
    train: Source,
    val: Source,
    engine: str,
    address: str | None,
    command: str,
    console: Console,
) -> list[Record | Failure]:
    jobs = folder.jobs(command)
    study = folder.study
    console.print(
        f"{len(study.settings)} settings, {len(study.seeds)} seeds, {study.data.train.length} each, in {folder.path}",
        highlight=False,
        markup=False,
    )
    progress = Progress(console, jobs)
    with progress:
        if engine == "ray":
            from anchorloc.compare.on_ray import run_on_ray

            return run_on_ray(jobs, address, progress)
        return run_here(jobs, train, val, progress)


def _machine(results: Sequence[Record | Failure]) -> dict[str, object]:
    """What bears on the figures, for the report."""
    trained = sum(result.seconds for result in results if isinstance(result, Record))
    return {
        "training, all runs together": duration(trained),
        "torch": version("torch"),
        "pycocotools": version("pycocotools"),
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
    }
