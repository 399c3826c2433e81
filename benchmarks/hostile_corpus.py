"""Run commands on bad and odd files: each bad one must be refused in one sentence, each odd one read.

    OMP_NUM_THREADS=1 python -m benchmarks.hostile_corpus              # all of them
    OMP_NUM_THREADS=1 python -m benchmarks.hostile_corpus --every 10   # one in 10

The commands run in this process, each with a time limit. The benchmark counts tracebacks (exceptions that are not
reported as an error of the user), hangs, bad files accepted and good files refused.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from types import FrameType

from anchorloc import evaluate, train
from anchorloc.cli import run_command
from benchmarks.hostile import checkpoints, configs, pictures, results, truths
from benchmarks.hostile.checkpoints import TAKEN, trained
from benchmarks.hostile.item import Item

LIMIT = 30.0  # seconds for one command
COMMANDS = {"train": train.main, "evaluate": evaluate.main}
RIGHT = ("refused", "accepted")


class Hang(BaseException):
    """Raised at the time limit."""


def corpus() -> list[Item]:
    """Return every case."""
    groups = (truths, results, pictures, configs, checkpoints)
    return list(chain.from_iterable(group.items() for group in groups))


def verdict(item: Item, folder: Path) -> tuple[str, str]:
    """Run the command of a case in a folder of its own; return the outcome, and what it printed on stderr."""
    folder.mkdir(parents=True)
    words = item.prepare(folder)
    errors = io.StringIO()
    try:
        with _limited(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(errors):
            status = run_command(COMMANDS[item.command], words)
    except Hang:
        return "hang", ""
    except (Exception, SystemExit) as error:
        return "traceback", repr(error)
    said = errors.getvalue()
    if status == 0:
        return ("accepted" if item.good else "bad accepted"), said
    sentence = status == 2 and said.startswith("error: ") and said.count("\n") == 1
    if not sentence:
        return "not one sentence", said
    return ("good refused" if item.good else "refused"), said


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, LIMIT)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def run(items: list[Item], verbose: bool = False) -> Counter[str]:
    """Return how often each verdict was given, and print the wrong ones, or all."""
    counts: Counter[str] = Counter()
    trained()  # compile now, so that it counts for no case
    with tempfile.TemporaryDirectory() as name:
        start = Path.cwd()
        os.chdir(name)  # code that is run by mistake leaves its files here
        try:
            for number, item in enumerate(items):
                began = time.perf_counter()
                result, said = verdict(item, Path(name) / str(number))
                counts[result] += 1
                if verbose or result not in RIGHT:
                    seconds = time.perf_counter() - began
                    print(f"{result} in {seconds:.1f} s: {item.name}: {said.strip()[:300]}", flush=True)
            if Path(TAKEN).exists():
                counts["code run"] += 1
        finally:
            os.chdir(start)
    return counts


def main() -> int:
    """Print the wrong verdicts, and the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1, metavar="N", help="run only every Nth case (default: 1)")
    parser.add_argument("--only", default="", metavar="TEXT", help="run only cases with this text in their name")
    parser.add_argument("--verbose", action="store_true", help="print every verdict and the text of stderr")
    arguments = parser.parse_args()
    items = [item for item in corpus() if arguments.only in item.name][:: arguments.every]
    bad = sum(not item.good for item in items)
    counts = run(items, arguments.verbose)
    print(f"{len(items)} files, {bad} bad and {len(items) - bad} good: {counts['refused']} refused, ", end="")
    wrong = {key: number for key, number in counts.items() if key not in RIGHT}
    print(f"{counts['accepted']} accepted; wrong: {wrong or 'none'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
