"""Measure what one other busy process costs: steps of the default run, and the time of one image through `load`.

    git worktree add PEER COMMIT
    python -m benchmarks.shared_machine --peer PEER     # beside another version: about 20 minutes on two cores
    python -m benchmarks.shared_machine --also GOMP_SPINCOUNT=10000 --also MALLOC_TRIM_THRESHOLD_=131072

The other process is a Python loop that keeps one core busy. The trees take turns, idle and beside it, in every round.
Steps are those of the default run in `--seconds` after its start-up; then it gets SIGINT, saves, and the number is read
from last.pt. Milliseconds are the median of `--images` calls with one image of 320 × 448 px and the network of that
run, in a new process. The table has the medians of the rounds, and the ratios of the rounds in their medians.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from anchorloc.checkpoint import load_checkpoint
from benchmarks.timing import recording_parser, significant, write_table

ROOT = Path(__file__).resolve().parents[1]
STARTED = "training for"  # first words of the line that a run prints before its first step
LOCALIZE = """
import statistics, sys, time
import numpy as np
import anchorloc
model = anchorloc.load(sys.argv[1])
image = np.random.default_rng(0).integers(0, 256, (320, 448, 3), np.uint8)
times = []
for _ in range(int(sys.argv[2]) + 3):
    start = time.perf_counter()
    model(image)
    times.append(time.perf_counter() - start)
print(statistics.median(times[3:]))
"""
Times = dict[str, list[float]]


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, and write the table."""
    parser = recording_parser(__doc__)
    parser.add_argument("--peer", type=Path, metavar="DIR", help="another working tree to compare with")
    parser.add_argument(
        "--also", action="append", default=[], metavar="NAME=VALUE", help="this tree again, with a variable set"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=60.0, help="of training in every run (default: 60)")
    parser.add_argument("--images", type=int, default=30, help="timed calls in every process (default: 30)")
    arguments = parser.parse_args(argv)
    trees = {"this tree": (ROOT, "")} | ({"peer": (arguments.peer.resolve(), "")} if arguments.peer else {})
    trees |= {f"this tree with {setting}": (ROOT, setting) for setting in arguments.also}
    found: dict[str, Times] = {f"{name}, {load}": {} for name in trees for load in ("idle", "busy")}
    for number in range(arguments.rounds):
        for name, (tree, setting) in trees.items():
            variables = environment(tree, setting)
            for load in ("idle", "busy"):
                with tempfile.TemporaryDirectory() as temporary, busy_process(load == "busy"):
                    steps = train(tree, variables, Path(temporary) / "run", arguments.seconds)
                    ms = 1000 * localize(tree, variables, Path(temporary) / "run" / "last.pt", arguments.images)
                print(f"round {number}: {name}, {load}: {steps} steps, {ms:.0f} ms an image", flush=True)
                for what, value in (("steps", float(steps)), ("ms", ms)):
                    found[f"{name}, {load}"].setdefault(what, []).append(value)
    write_table([row(name, found) for name in found], "shared_machine", ("torch",), record=arguments.record)


@contextmanager
def busy_process(wanted: bool) -> Iterator[None]:
    """Keep one core busy with another process, if that is wanted."""
    if not wanted:
        yield
        return
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def train(tree: Path, variables: dict[str, str], out: Path, seconds: float) -> int:
    """Return the steps of a default run in so many seconds after its start-up."""
    command = [sys.executable, "-m", "anchorloc.train", "train.length=1000 minutes", "--out", str(out)]
    with subprocess.Popen(command, cwd=tree, env=variables, stdout=subprocess.PIPE, text=True) as process:
        if process.stdout is None or not any(line.startswith(STARTED) for line in process.stdout):
            raise SystemExit(f"{tree}: the run did not start")
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        process.stdout.read()
    return int(load_checkpoint(out / "last.pt")["step"])


def localize(tree: Path, variables: dict[str, str], checkpoint: Path, images: int) -> float:
    """Return the median seconds of a call with one image."""
    command = [sys.executable, "-c", LOCALIZE, str(checkpoint), str(images)]
    done = subprocess.run(command, cwd=tree, env=variables, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout)


def environment(tree: Path, setting: str) -> dict[str, str]:
    """Return this environment with the package of a tree, and of OpenMP's and malloc's variables only `setting`."""
    ours = ("OMP_", "GOMP_", "KMP_", "MKL_", "MALLOC_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    name, _, value = setting.partition("=")
    return kept | {"PYTHONPATH": str(tree), "PYTHONUNBUFFERED": "1"} | ({name: value} if name else {})


def row(name: str, found: dict[str, Times]) -> dict[str, str]:
    """Return one line; a ratio is the median of the rounds' ratios."""
    mine, (tree, load) = found[name], name.split(", ")

    def ratio(what: str, other: str) -> str:
        if other not in found:
            return ""
        pairs = zip(mine[what], found[other][what], strict=True)
        return significant(statistics.median(own / max(theirs, 1e-9) for own, theirs in pairs))

    return {
        "tree, machine": name,
        "steps": significant(statistics.median(mine["steps"])),
        "of its idle steps": ratio("steps", f"{tree}, idle"),
        "times the peer's steps": ratio("steps", f"peer, {load}"),
        "ms an image": significant(statistics.median(mine["ms"])),
        "times its idle ms": ratio("ms", f"{tree}, idle"),
    }


if __name__ == "__main__":
    main()
