"""Kill a training with SIGKILL, resume it, and compare it bit by bit with one that was never killed.

    OMP_NUM_THREADS=1 python -m benchmarks.kill_and_resume                  # 50 kills, 10 of them inside a write
    OMP_NUM_THREADS=1 python -m benchmarks.kill_and_resume --kills 6 --inside 2
    OMP_NUM_THREADS=1 python -m benchmarks.kill_and_resume --processes 2    # each run by torchrun, killed as a whole

Kills come at random times over the whole life of the process, half of them with 2 loader workers; with --processes they
hit all processes at once. For a kill inside a write of a checkpoint, writing is slowed down, and the kill waits for an
incomplete file. The comparison covers the tensors and numbers of last.pt and best.pt, the lines of metrics.jsonl,
TensorBoard's values and metrics.json, except for times. Processes are forked, because importing torch again would take
most of the time.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from anchorloc import train
from anchorloc.checkpoint import load_checkpoint
from anchorloc.cli import run_command
from anchorloc.engine import training
from anchorloc.engine.state.run_folder import RunLock
from anchorloc.engine.system.log import read_log
from anchorloc.errors import InputError
from anchorloc.files import is_temporary

SETTINGS = [
    "data={train_images: 24, val_images: 6, size: 96}",
    "detector.backbone={channels: [8, 8, 16, 16], blocks: [1, 1, 1, 1]}",
    "detector.pyramid.channels=16",
    "detector.head={channels: 16, depth: 1}",
    "train={batch_size: 4, warmup: 2, validate_every: 0.9, save_every: 0.005, precision: float32, device: cpu}",
]
WALL_CLOCK = {"seconds", "images_per_second", "log_size"}  # a time is written with more or fewer digits
PATIENCE = 120.0  # seconds for one training


@dataclass(frozen=True)
class Run:
    """A training in `folder`."""

    folder: Path
    iterations: int
    workers: int
    processes: int = 1

    def start(self, disturb: Callable[[], None] = lambda: None) -> BaseProcess:
        """Start or resume it in a new process, which calls `disturb` first."""
        if (self.folder / "config.yaml").exists():
            words = ["--resume"]
        else:
            words = [*SETTINGS, f"train.length={self.iterations} iterations", f"train.workers={self.workers}"]
        process = multiprocessing.get_context("fork").Process(target=self._train, args=(words, disturb))
        process.start()
        return process

    def finish(self) -> None:
        """Start or resume it, and wait for its end."""
        process = self.start()
        process.join(PATIENCE)
        if process.exitcode != 0:
            process.kill()
            raise RuntimeError(f"the run ended with {process.exitcode}: {self._output.read_text(encoding='utf-8')}")

    @property
    def _output(self) -> Path:
        return self.folder.with_suffix(".txt")

    def _train(self, words: list[str], disturb: Callable[[], None]) -> None:
        with self._output.open("w") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        training.LOG_EVERY = 3  # a log line every 3 steps, so that a kill can lose some
        disturb()
        words = [*words, "--out", str(self.folder)]
        if self.processes == 1:
            status = run_command(train.main, words)
        else:
            os.setsid()  # a group, to be killed as a whole
            status = _train_by_torchrun(words, self.processes)
        sys.stdout.flush()
        os._exit(status)


def _train_by_torchrun(words: list[str], processes: int) -> int:
    """Train in several processes, as torchrun starts them; return the status."""
    config = LaunchConfig(
        1,
        1,
        processes,
        run_id="killed",
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        start_method="fork",
    )
    try:
        statuses: dict[int, int] = elastic_launch(config, run_command)(train.main, words)
    except ChildFailedError as error:
        print(error)
        return 1
    return max(statuses.values())


def differences(folder: Path, reference: Path) -> list[str]:
    """Return the names of what differs between two finished runs, to the last bit."""
    found = []
    for name in ("last.pt", "best.pt"):
        ours, theirs = (load_checkpoint(run / name) for run in (folder, reference))
        ours.pop("config"), theirs.pop("config")  # the number of workers differs
        found += [f"{name}{path}" for path in unlike(ours, theirs)]
    readers = {"metrics.jsonl": read_log, "tensorboard": _board, "metrics.json": _scores}
    for name, read in readers.items():
        found += [f"{name}{path}" for path in unlike(read(folder), read(reference))]
    return found + [f"left over: {path.name}" for path in folder.iterdir() if is_temporary(path)]


def unlike(first: Any, second: Any, path: str = "") -> list[str]:
    """Return the paths at which nested values differ."""
    if type(first) is not type(second):
        return [path]
    if isinstance(first, dict):
        if first.keys() - WALL_CLOCK != second.keys() - WALL_CLOCK:
            return [f"{path}: keys"]
        return [p for key in first if key not in WALL_CLOCK for p in unlike(first[key], second[key], f"{path}.{key}")]
    if isinstance(first, list | tuple):
        if len(first) != len(second):
            return [f"{path}: {len(first)} and {len(second)} items"]
        return [
            p for place, pair in enumerate(zip(first, second, strict=True)) for p in unlike(*pair, f"{path}[{place}]")
        ]
    if isinstance(first, torch.Tensor):
        same = first.dtype == second.dtype and first.shape == second.shape
        return [] if same and _bytes(first) == _bytes(second) else [path]
    return [] if first == second else [path]


def _bytes(tensor: torch.Tensor) -> bytes:
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def _board(folder: Path) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(folder / "tensorboard"), size_guidance={"scalars": 0}).Reload()
    names = {name for name in events.Tags()["scalars"] if name.rpartition("/")[2] not in WALL_CLOCK}
    return {name: [(event.step, event.value) for event in events.Scalars(name)] for name in sorted(names)}


def _scores(folder: Path) -> dict[str, Any]:
    record = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    return {key: record[key] for key in ("summary", "counts", "classes")}


def kill_anywhere(run: Run, moment: float) -> bool:
    """Kill the run after `moment` seconds; return whether it was still alive."""
    process = run.start()
    process.join(moment)
    return _kill(run, process)


def kill_inside_a_write(run: Run, skipped: int, delay: float) -> bool:
    """Kill the run while it writes a checkpoint, after `skipped` others; return whether that succeeded."""
    process = run.start(write_slowly)
    seen: set[Path] = set()
    while process.is_alive() and len(seen) <= skipped:
        if run.folder.exists():
            seen |= {path for path in run.folder.iterdir() if is_temporary(path) and ".pt." in path.name}
        time.sleep(0.001)
    process.join(delay)
    return _kill(run, process) and any(map(is_temporary, run.folder.iterdir()))


def _kill(run: Run, process: BaseProcess) -> bool:
    """Kill all processes of a run; return whether it was still alive."""
    assert process.pid is not None
    alive = process.is_alive()
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:  # it leads no group
        process.kill()
    process.join()
    while run.folder.exists() and _is_locked(run.folder):  # by a process of torchrun that is about to end
        time.sleep(0.01)
    return alive


def _is_locked(folder: Path) -> bool:
    try:
        RunLock(folder).release()
    except InputError:
        return True
    return False


def write_slowly() -> None:
    """Slow down every atomic write: in 20 pieces, and before and after the rename."""
    plain_open, plain_replace = Path.open, Path.replace

    def slow_open(self: Path, mode: str = "r", *rest: Any, **words: Any) -> Any:
        if mode != "xb":
            return plain_open(self, mode, *rest, **words)
        return io.BufferedWriter(_SlowFile(self, mode))

    def slow_replace(self: Path, target: str | Path) -> Path:
        time.sleep(0.01)
        plain_replace(self, target)
        time.sleep(0.01)
        return Path(target)

    Path.open, Path.replace = slow_open, slow_replace  # type: ignore[method-assign, assignment]


class _SlowFile(io.FileIO):
    def write(self, data: Any) -> int:
        time.sleep(0.002)
        return super().write(data[: max(4096, len(data) // 20)])


def measure(kills: int, inside: int, iterations: int, seed: int, say: Callable[[str], None], processes: int = 1) -> int:
    """Return how many killed runs ended like the undisturbed run; `inside` of them are killed in a write."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        reference, seconds = _uninterrupted(root, iterations, processes)
        good = number = tried = 0
        while number < kills:
            tried += 1
            workers = 2 * (number % 2)
            run = Run(root / f"run{tried}", iterations, workers, processes)
            if number < inside:
                hit = kill_inside_a_write(run, chance.randrange(8), chance.uniform(0, 0.04))
            else:
                hit = kill_anywhere(run, chance.uniform(0, seconds[workers]))
            if not hit:  # the run or the write had ended before
                continue
            where = _where(run.folder)
            run.finish()
            found = differences(run.folder, reference.folder)
            good, number = good + (not found), number + 1
            say(f"{number:3} of {kills}, {workers} workers, {where}: {', '.join(found[:3]) or 'identical'}")
    return good


def _uninterrupted(root: Path, iterations: int, processes: int) -> tuple[Run, dict[int, float]]:
    """Train without a kill; return the run, and the seconds of a run by number of workers."""
    with contextlib.redirect_stdout(io.StringIO()):  # compile kernels once, for all forks
        run_command(
            train.main, [*SETTINGS, "train.length=2 iterations", "train.workers=0", "--out", str(root / "warm")]
        )
    runs, seconds = {}, {}
    for workers in (0, 2):
        runs[workers] = Run(root / f"whole{workers}", iterations, workers, processes)
        start = time.perf_counter()
        runs[workers].finish()
        seconds[workers] = time.perf_counter() - start
    if found := differences(runs[0].folder, runs[2].folder):
        raise RuntimeError(f"workers alone make a difference: {found}")
    return runs[0], seconds


def _where(folder: Path) -> str:
    """Return how far a killed run had come."""
    if not (folder / "config.yaml").exists():
        return "killed before its folder was set up"
    unfinished = [path.name.rsplit(".", 2)[0].lstrip(".") for path in folder.iterdir() if is_temporary(path)]
    if unfinished:
        return f"killed while writing {unfinished[0]}"
    return f"killed after {len(read_log(folder)) if (folder / 'metrics.jsonl').exists() else 0} lines of the log"


def main() -> int:
    """Print a line for each kill, and the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--inside", type=int, default=10, help="kills inside a write of a checkpoint (default: 10)")
    parser.add_argument("--iterations", type=int, default=60, help="iterations of a run (default: 60)")
    parser.add_argument("--processes", type=int, default=1, help="processes of each run (default: 1)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    good = measure(
        arguments.kills,
        arguments.inside,
        arguments.iterations,
        arguments.seed,
        lambda line: print(line, flush=True),
        arguments.processes,
    )
    print(f"{good} of {arguments.kills} identical ({arguments.inside} killed inside the writing of a checkpoint)")
    return 0 if good == arguments.kills else 1


if __name__ == "__main__":
    sys.exit(main())
