"""Run a study, from its file to its report."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from rich.console import Console

from anchorloc.compare.jobs import FailedRun, Job, run_job
from anchorloc.compare.judging import judge_study
from anchorloc.compare.progress import StudyProgress
from anchorloc.compare.report import print_study, write_study
from anchorloc.compare.run_record import RunRecord, read_record
from anchorloc.compare.study_file import Study
from anchorloc.compare.study_folder import StudyFolder, open_study_folder
from anchorloc.data import Source
from anchorloc.engine.build import open_all_splits
from anchorloc.engine.network_part_checks import check_network_parts
from anchorloc.engine.system.signals import Stopped
from anchorloc.errors import InputError
from anchorloc.lab.part_checks import check_parts
from anchorloc.metrics.evidence import MIN_IMAGES
from anchorloc.text import duration, printable


def run_study(study: Study, out: Path, engine: str, address: str | None, command: str) -> int:
    """Train the runs of a study that `out` lacks, judge all runs, write the report and return the exit status.

    Raises:
        InputError: the data or the folder cannot be used.
    """
    console = Console()
    train, val, test = _open_data(study, console)
    folder = open_study_folder(out, study, train, val, test)
    scored = val if test is None else test
    try:
        results = _run(folder, train, val, scored, engine, address, command, console)
        result = judge_study(folder, results, scored, "val" if test is None else "test")
        # Written before anything is printed: a closed pipe (`| head`) ends the command there.
        page = write_study(folder.path, result, {"command": command, **_environment(results)})
        print_study(result, Console(highlight=False))
        console.print(f"report: {printable(str(page))}", highlight=False, markup=False, soft_wrap=True)
        return 1 if any(isinstance(result, FailedRun) for result in results) else 0
    except Stopped as stopped:
        console.print("stopped and saved; to resume, run the same command:", highlight=False)
        console.print(f"  {printable(command)}", highlight=False, markup=False, soft_wrap=True)
        return stopped.exit_status
    finally:
        folder.lock.release()


def run_here(
    jobs: Sequence[Job], train: Source, val: Source, scored: Source, progress: StudyProgress
) -> list[RunRecord | FailedRun]:
    """Train every run that is not done yet, one after another, and return all results in the order of `jobs`.

    Raises:
        Stopped: on a signal, after a checkpoint of the current run is written.
    """
    results = []
    for job in jobs:
        start = time.perf_counter()
        done = read_record(job.folder) is not None
        progress.start(job)
        result = run_job(job, train, val, scored, progress)
        progress.finish(job, result, None if done else time.perf_counter() - start)
        results.append(result)
    return results


def _open_data(study: Study, console: Console) -> tuple[Source, Source, Source | None]:
    """Open train, val and, if there is one, test, and check every file once, before the work begins."""
    train, val, test = open_all_splits(study.data)
    for config in study.settings.values():
        check_parts(config, train)
        check_network_parts(config, train)
    split, scored = ("val", val) if test is None else ("test", test)
    with_boxes = sum(not scored.target(index).crowd.all() for index in range(len(scored)))
    if with_boxes < MIN_IMAGES:
        raise InputError(
            f"{study.path}: data: {split} has {with_boxes} of the {MIN_IMAGES} images with boxes that intervals and "
            "verdicts need; give more"
        )
    for source in filter(None, (train, val, test)):
        for warning in (*source.warnings, *source.check_images()):
            console.print(f"warning: {printable(warning)}", markup=False, highlight=False)
    return train, val, test


def _run(
    folder: StudyFolder,
    train: Source,
    val: Source,
    scored: Source,
    engine: str,
    address: str | None,
    command: str,
    console: Console,
) -> list[RunRecord | FailedRun]:
    jobs = folder.jobs(command)
    study = folder.study
    console.print(
        f"{len(study.settings)} settings, {len(study.seeds)} seeds, {study.data.train.length} each, in {folder.path}",
        highlight=False,
        markup=False,
    )
    progress = StudyProgress(console, jobs)
    with progress:
        if engine == "ray":
            from anchorloc.compare.on_ray import run_on_ray

            return run_on_ray(jobs, address, progress)
        return run_here(jobs, train, val, scored, progress)


def _environment(results: Sequence[RunRecord | FailedRun]) -> dict[str, object]:
    """Return the facts that the figures depend on, for the report."""
    trained = sum(result.seconds for result in results if isinstance(result, RunRecord))
    return {
        "training time, all runs": duration(trained),
        "torch": version("torch"),
        "pycocotools": version("pycocotools"),
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
    }
