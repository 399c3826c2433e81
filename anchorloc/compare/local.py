"""The runs of a study one after another, in this process."""

from __future__ import annotations

import time
from collections.abc import Sequence

from anchorloc.compare.jobs import Failure, Job, run_job
from anchorloc.compare.progress import Progress
from anchorloc.compare.record import Record, read_record
from anchorloc.data import Source


def run_here(jobs: Sequence[Job], train: Source, val: Source, progress: Progress) -> list[Record | Failure]:
    """Make every run that is not done yet, and return all results in the order of `jobs`.

    Raises:
        Stopped: after a signal, with the state of the run in progress saved.
    """
    results = []
    for job in jobs:
        start = time.perf_counter()
        done = read_record(job.folder) is not None
        progress.begin(job)
        result = run_job(job, train, val, progress)
        progress.end(job, result, None if done else time.perf_counter() - start)
        results.append(result)
    return results
