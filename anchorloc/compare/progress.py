"""Show the progress of a study: one line per run, the share done and the time left."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from statistics import mean

from rich.console import Console

from anchorloc.compare.jobs import FailedRun, Job
from anchorloc.compare.run_record import RunRecord
from anchorloc.engine.events import RunEvent, RunWarned, StepDone
from anchorloc.engine.system.display import Display
from anchorloc.text import duration, printable


class StudyProgress(Display):
    """The display of a study, which listens to the events of each run: it shows their steps and warnings."""

    def __init__(self, console: Console, jobs: Sequence[Job], parallel: int = 1) -> None:
        super().__init__(console)
        self.jobs, self.parallel = jobs, parallel
        self.left = list(jobs)
        self.seconds: dict[str, list[float]] = defaultdict(list)  # taken by each run of a setting in this process
        self.current: Job | None = None
        self._started = time.perf_counter()
        self._width = max(len(job.setting) for job in jobs)

    def start(self, job: Job) -> None:
        """Note that `job` starts."""
        self.current, self._started = job, time.perf_counter()

    def finish(self, job: Job, result: RunRecord | FailedRun, seconds: float | None = None) -> None:
        """Print the line of a finished run; `seconds` is how long it took, None if it was done before."""
        self.left = [other for other in self.left if other is not job]
        self.current = None
        if seconds is not None:
            self.seconds[job.setting].append(seconds)
        number = f"{len(self.jobs) - len(self.left):{len(str(len(self.jobs)))}}/{len(self.jobs)}"
        result_text = f"failed: {result.reason}" if isinstance(result, FailedRun) else f"AP {result.ap:.3f}"
        left = "" if not self.left or seconds is None else f", {duration(self.time_left())} left"
        took = "" if seconds is None else f", {duration(seconds)}"
        self.console.print(
            printable(f"{number} {job.setting:{self._width}} seed {job.seed}: {result_text}{took}{left}"),
            highlight=False,
            markup=False,
        )

    def time_left(self, progress: float = 0.0) -> float:
        """Estimate the seconds to the end of the study; a setting without a finished run takes the mean of all."""
        done = [seconds for several in self.seconds.values() for seconds in several]
        now = time.perf_counter() - self._started
        usual = mean(done) if done else now / max(progress, 1e-3)
        expected = [mean(self.seconds.get(job.setting, [usual])) for job in self.left]
        return max(0.0, sum(expected) / self.parallel - (now if self.current else 0.0))

    def __call__(self, event: RunEvent) -> None:
        """Show an event of the current run; its scores are left to `finish`."""
        if isinstance(event, StepDone):
            self._show(event.progress)
        elif isinstance(event, RunWarned):
            self._warn(event.text)

    def _warn(self, text: str) -> None:
        """Print a warning with the name of its run."""
        whose = f"{self.current.setting} seed {self.current.seed}: " if self.current else ""
        self.log(printable(f"{whose}warning: {text}"))

    def _show(self, progress: float) -> None:
        """Show the progress of the study, in which the current run has reached `progress`."""
        if self.current is None:
            return
        done = len(self.jobs) - len(self.left) + progress
        shown = f"{self.current.setting[:24]} seed {self.current.seed} {progress:.0%}"
        self.update(done / len(self.jobs), f"{shown}, {duration(self.time_left(progress))} left")
