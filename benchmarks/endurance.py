"""Train for an hour and watch memory, file handles and disk: `python -m benchmarks.endurance --minutes 60`.

400 of the built-in scenes, one thread, two loader workers, and a validation with a checkpoint every 200 images: at
least one per minute, which is checked. Every ten seconds it reads the memory of the trainer and its workers
(proportional set size: a page that n processes share counts as one nth in each), their open files and the size of the
run's folder. The slope is a straight line through all readings after a sixth of the time.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from anchorloc.engine.system.log import read_log
from benchmarks.timing import RESULTS, recording_parser, write_table

EVERY = 10.0  # seconds
LIMIT = 1.0  # MiB per minute
COLUMNS = ("memory, MiB", "open files", "folder, MiB")


def family(parent: int) -> Iterator[Path]:
    """Return the /proc folders of a process and its descendants."""
    yield Path(f"/proc/{parent}")
    for child in Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii").split():
        yield from family(int(child))


def look(process: subprocess.Popen[bytes], folder: Path, start: float) -> dict[str, float]:
    """Return one reading."""
    memory = files = 0.0
    for entry in family(process.pid):
        lines = (entry / "smaps_rollup").read_text(encoding="ascii").splitlines()
        memory += next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
        files += len(list((entry / "fd").iterdir()))
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 2**20
    values = (memory, files, size)
    return {"minute": (time.monotonic() - start) / 60, **dict(zip(COLUMNS, values, strict=True))}


def slope(rows: Sequence[dict[str, float]], column: str) -> float:
    """Return the growth of `column` per minute after the warm-up."""
    late = [row for row in rows if row["minute"] >= rows[-1]["minute"] / 6]
    return float(np.polyfit([row["minute"] for row in late], [row[column] for row in late], 1)[0])


def train_and_watch(minutes: float, folder: Path) -> list[dict[str, float]]:
    """Train, and return the readings."""
    settings = [f"train.length={minutes} minutes", "train.patience=0", "train.threads=1", "data.train_images=400"]
    settings += ["train.save_every=1", "train.validate_every=0.5"]
    rows: list[dict[str, float]] = []
    start = time.monotonic()
    command = [sys.executable, "-m", "anchorloc.train", *settings, "--out", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            time.sleep(EVERY)
            try:
                rows.append(look(process, folder, start))
            except OSError:  # a process ended during the reading
                continue
    if process.returncode:
        raise SystemExit(f"the training ended with {process.returncode}")
    return [row for row in rows if row["minute"] <= minutes]  # later readings are of the report


def draw(rows: Sequence[dict[str, float]]) -> Figure:
    """Draw the three columns over time."""
    figure = Figure(figsize=(7, 6), layout="constrained")
    axes = figure.subplots(len(COLUMNS), 1, sharex=True)
    for axis, column in zip(axes, COLUMNS, strict=True):
        axis.plot([row["minute"] for row in rows], [row[column] for row in rows], color="#0072b2")
        axis.set_ylim(bottom=0)
        axis.set_ylabel(column)
        axis.set_title(f"{slope(rows, column):+.3f} a minute", loc="right", fontsize="small")
    axes[-1].set_xlabel("minute of training")
    return figure


def main(argv: Sequence[str] | None = None) -> None:
    """Train, and write the table and the picture; exit with 1 if memory or open files grow."""
    parser = recording_parser(__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        rows = train_and_watch(arguments.minutes, run)
        validations = sum("val/AP" in line for line in read_log(run))
    table = [{key: round(value, 2) for key, value in row.items()} for row in rows]
    write_table(table, "endurance", record=arguments.record)
    if arguments.record:
        draw(rows).savefig(RESULTS / "endurance.png", dpi=110)
    memory, files = slope(rows, COLUMNS[0]), slope(rows, COLUMNS[1])
    print(f"memory {memory:+.3f} MiB a minute, open files {files:+.3f}, {validations} validations")
    if validations < arguments.minutes:
        raise SystemExit("fewer validations than one a minute; the machine is too slow for this benchmark")
    if memory > LIMIT or files > 0.1:
        raise SystemExit("memory or open files grow")


if __name__ == "__main__":
    main()
