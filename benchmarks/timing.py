"""Timing and tables for all benchmarks; a table begins with the conditions of its run."""

from __future__ import annotations

import argparse
import csv
import io
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from anchorloc.files import write_text

RESULTS = Path(__file__).parent / "results"
Call = Callable[[], Any]


def median_seconds(calls: Mapping[str, Call], rounds: int = 9, sample: float = 0.005) -> dict[str, float]:
    """Return the median time of one call of each, in seconds.

    Each is called to warm up and to find how many calls take about `sample` seconds. Then all take turns, so that other
    work of the machine slows all of them alike.
    """
    loops = {name: _loops(call, sample) for name, call in calls.items()}
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            times[name].append(_seconds(call, loops[name]))
    return {name: statistics.median(values) for name, values in times.items()}


def recording_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the option --record, without which a benchmark writes nothing into the checkout."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true", help="write the results into benchmarks/results too")
    return parser


def table_of_runs(arguments: argparse.Namespace, name: str) -> Path:
    """Return the table that long runs add lines to: --table, or NAME.csv in --out, or in results to record them."""
    return arguments.table or (RESULTS if arguments.record else arguments.out) / f"{name}.csv"


def write_table(rows: Sequence[Mapping[str, object]], name: str, packages: Iterable[str] = (), *, record: bool) -> None:
    """Print rows as a Markdown table; to `record` them, write them to results/NAME.csv too, as `save_table` does."""
    if record:
        save_table(rows, RESULTS / f"{name}.csv", packages)
    print(markdown(rows))


def save_table(rows: Sequence[Mapping[str, object]], path: Path, packages: Iterable[str] = ()) -> None:
    """Write rows with equal keys as CSV to `path`, under lines of '#' with the conditions of the run.

    Args:
        packages: the packages, beside numpy and numba, whose versions the file names.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    text.writelines(f"# {key}: {value}\n" for key, value in circumstances(packages).items())
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def markdown(rows: Sequence[Mapping[str, object]]) -> str:
    """Return the rows as a Markdown table."""
    lines = [list(rows[0]), ["---"] * len(rows[0]), *([str(value) for value in row.values()] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def circumstances(packages: Iterable[str] = ()) -> dict[str, str]:
    """Return the command, commit, versions and machine of this process."""
    versions = [f"{name} {_version(name)}" for name in ("numpy", "numba", *packages)]
    return {
        "command": _command(),
        "commit": _commit(),
        "date": time.strftime("%Y-%m-%d"),
        "versions": ", ".join([f"python {platform.python_version()}", *versions]),
        "machine": f"{_processor()}, {os.cpu_count()} cores, {platform.system()}",
    }


def significant(value: float, digits: int = 3) -> str:
    """Return `value` with `digits` significant digits, without an exponent where possible."""
    return f"{float(f'{value:.{digits}g}'):g}"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _loops(call: Call, sample: float) -> int:
    call()
    call()
    return max(1, round(sample / max(_seconds(call, 1), 1e-7)))


def _seconds(call: Call, loops: int) -> float:
    start = time.perf_counter()
    for _ in range(loops):
        call()
    return (time.perf_counter() - start) / loops


def _command() -> str:
    spec = sys.modules["__main__"].__spec__
    script = f"-m {spec.name}" if spec else os.path.relpath(sys.argv[0])
    return " ".join(["python", script, *sys.argv[1:]])


def _commit() -> str:
    """Return the commit, marked if the package, the benchmarks or the configs have changes."""
    root = Path(__file__).resolve().parents[1]
    git = ["git", "-C", str(root)]
    commit = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=False)
    status = [*git, "status", "--porcelain", "--untracked-files=no", "--", "anchorloc", "benchmarks/*.py", "configs"]
    changed = subprocess.run(status, capture_output=True, text=True, check=False).stdout
    return commit.stdout.strip() + (" with changes" if changed.strip() else "")


def _processor() -> str:
    """Return the name of the processor as Linux reports it, else as Python does."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
