"""Notice that other processes, or a CPU quota, leave a run much less CPU time than its threads could use."""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType

from anchorloc.cgroups import cpu_quota
from anchorloc.text import counted

STEPS = 20  # steps that are judged together
QUEUED = 0.25  # fraction of the time for which threads must have waited for a core: idle threads are not starved
_TASKS = Path("/proc/self/task")


class StarvationWatch:
    """Measure training steps, as a context manager around each; loading data and validating are not measured.

    A run is starved if 20 steps together take over twice the CPU time that they use, divided by the number of threads.
    On Linux, its threads must also have waited for a core, or exceed the CPU quota: the threads of a small network are
    idle without starving.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.quota = cpu_quota()
        self._said = False
        self._clear()

    def __enter__(self) -> None:
        self._entered = time.perf_counter(), time.process_time()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.wall += time.perf_counter() - self._entered[0]
        self.cpu += time.process_time() - self._entered[1]
        self.steps += 1

    def sentence(self) -> str | None:
        """Return what is wrong and what to do after 20 steps of a starved run, once; otherwise None."""
        if self.steps < STEPS or self._said:
            return None
        share = self.cpu / self.threads / self.wall
        over_quota = self.quota is not None and self.quota < self.threads
        queued = queued_seconds() - self._queued_before
        self._said = share < 0.5 and (over_quota or not _TASKS.exists() or queued > QUEUED * self.wall)
        self._clear()
        if not self._said:
            return None
        if over_quota:
            why = f"the CPU quota of its cgroup allows {self.quota:.2g} cores: raise the quota"
        else:
            why = "other processes use the cores: end them or wait for them"
        fewer = ", or set train.threads=1, so that threads do not wait for each other" if self.threads > 1 else ""
        count = counted(self.threads, "thread")
        return f"the run gets {share:.0%} of the CPU time that its {count} could use, because {why}{fewer}"

    def _clear(self) -> None:
        self.steps, self.wall, self.cpu = 0, 0.0, 0.0
        self._queued_before = queued_seconds()


def queued_seconds(tasks: Path = _TASKS) -> float:
    """Return how long the threads of this process have waited for a core; 0 where the system does not count it."""
    seconds = 0.0
    for task in tasks.glob("*/schedstat"):
        try:
            seconds += int(task.read_text(encoding="ascii").split()[1]) / 1e9
        except (OSError, ValueError, IndexError):  # the thread has ended
            continue
    return seconds
