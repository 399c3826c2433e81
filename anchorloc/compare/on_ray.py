"""Run a study in parallel with Ray, on this machine or on a cluster that shares the folder."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from anchorloc.compare.jobs import FailedRun, Job, run_job
from anchorloc.compare.progress import StudyProgress
from anchorloc.compare.run_record import RunRecord, read_record
from anchorloc.engine.build import open_all_splits
from anchorloc.engine.state.run_folder import RunLock
from anchorloc.engine.system.signals import Stopped
from anchorloc.errors import InputError

RETRIES = 3  # how often Ray restarts a run whose process or node died
LOCK_SECONDS = 30.0  # how long a restarted run waits for the process of the dead node to end


def run_on_ray(jobs: Sequence[Job], address: str | None, progress: StudyProgress) -> list[RunRecord | FailedRun]:
    """Train every run that is not done yet, as many at a time as the cores allow, and return all results in order.

    A run uses as many threads as it would in one process, so that its result is the same.

    Raises:
        InputError: Ray is not installed, or there is no cluster at `address`.
    """
    ray = _start_ray(address)
    try:
        cpus = sum(node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"])
        graphics = ray.cluster_resources().get("GPU", 0) and jobs[0].config.train.device in ("auto", "cuda")
        threads = min(jobs[0].config.train.threads, max(1, int(cpus)))
        progress.parallel = max(1, int(cpus) // threads)
        remote = ray.remote(num_cpus=threads, num_gpus=1 if graphics else 0, max_retries=RETRIES)(_run)
        results: dict[int, RunRecord | FailedRun] = {}
        pending: dict[Any, int] = {}
        for place, job in enumerate(jobs):
            if (record := read_record(job.folder)) is not None:
                results[place] = record
                progress.finish(job, record)
            else:
                pending[remote.remote(job)] = place
        while pending:
            ready, _ = ray.wait(list(pending))
            for reference in ready:
                place = pending.pop(reference)
                results[place], seconds = _result(ray, reference, jobs[place])
                progress.finish(jobs[place], results[place], seconds)
        return [results[place] for place in range(len(jobs))]
    finally:
        ray.shutdown()


def _start_ray(address: str | None) -> Any:
    # Under `uv run`, Ray would copy the working folder and build a new environment for each worker.
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    try:
        import ray
    except ImportError:
        raise InputError("--engine ray needs Ray: pip install 'anchorloc[ray]'") from None
    try:
        # without an address Ray would join any cluster that runs on this machine
        ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        if address is None:
            raise InputError(f"Ray does not start on this machine: {reason}; leave out --engine ray") from None
        raise InputError(f"--address {address}: no Ray cluster answers: {reason}; check the address") from None
    return ray


def _run(job: Job) -> tuple[RunRecord | FailedRun, float]:
    """Train one run in a process of Ray; return its result and how many seconds it took."""
    start = time.perf_counter()
    try:
        _wait_for_lock(job.folder)
        train, val, test = open_all_splits(job.config)
        result = run_job(job, train, val, val if test is None else test)
    except InputError as error:  # the node may not see the data
        result = FailedRun(job.setting, job.seed, str(error))
    except Stopped as stopped:
        result = FailedRun(job.setting, job.seed, f"a signal stopped its process (status {stopped.exit_status})")
    return result, time.perf_counter() - start


def _wait_for_lock(folder: Path) -> None:
    """Wait until no process writes into the folder of a run that died, or LOCK_SECONDS."""
    deadline = time.monotonic() + LOCK_SECONDS
    while folder.is_dir() and time.monotonic() < deadline:
        try:
            RunLock(folder).release()
        except InputError:
            time.sleep(0.5)
        else:
            return


def _result(ray: Any, reference: Any, job: Job) -> tuple[RunRecord | FailedRun, float]:
    try:
        result: tuple[RunRecord | FailedRun, float] = ray.get(reference)
    except ray.exceptions.RayError as error:  # its process died, for example out of memory
        return FailedRun(job.setting, job.seed, f"{type(error).__name__}: {str(error).splitlines()[0]}"), 0.0
    return result
