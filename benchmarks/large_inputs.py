"""Time and memory of inputs far larger than usual: `python -m benchmarks.large_inputs`.

- An image with 50,000 boxes on a grid of about 100,000 anchors: matching, NMS of 100,000 detections, COCO's evaluation.
  torchvision's matrix of overlaps alone would take 36 bytes per pair, 180 GB.
- A COCO file of 500,000 annotations: read, and then used by two loader workers. The memory of the workers is their
  private memory, which they do not share with the process that read the file.
- The same file checked by the doctor, without the image files.

Each task runs in a process of its own, its imports included. `--only JOB` prints one of them and writes no table.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.coco_like import coco_like
from benchmarks.timing import recording_parser, write_table

BOXES, SIDE = 50_000, 1008  # px
ANNOTATIONS = 500_000
JOBS = ("match", "suppress", "evaluate", "read", "doctor")


def crowded_boxes(count: int, seed: int = 0) -> np.ndarray:
    """Return (count, 4) boxes of 4 to 40 px in the image."""
    random = np.random.default_rng(seed)
    corner = random.uniform(0, SIDE - 40, (count, 2))
    return np.hstack([corner, corner + random.uniform(4, 40, (count, 2))]).astype(np.float32)


def match() -> str:
    """Match the boxes, and return the number of anchors as text."""
    from anchorloc.anchors import AnchorGenerator
    from anchorloc.assign import MaxIoUAssigner

    generator = AnchorGenerator(strides=(8, 16, 32, 64, 128), scales=(1, 2, 3, 4, 5), height_to_width=(1,))
    grid = generator((SIDE, SIDE))
    assignment = MaxIoUAssigner(0.5, 0.4, 0.1)(grid, crowded_boxes(BOXES))
    return f"{len(assignment.matched):,} anchors"


def suppress() -> str:
    """Suppress 100,000 detections, and return how many stay as text."""
    from anchorloc.boxes import nms

    boxes = crowded_boxes(2 * BOXES)
    return f"{len(nms(boxes, np.random.default_rng(1).random(len(boxes)), 0.5)):,} stay"


def evaluate() -> str:
    """Score 50,000 detections of one image against its 50,000 boxes."""
    from anchorloc.metrics import evaluate as score_all
    from anchorloc.structures import Category, Detections, Target

    boxes = crowded_boxes(BOXES)
    labels = np.zeros(BOXES, np.int64)
    scores = np.random.default_rng(1).random(BOXES).astype(np.float32)
    target = Target(boxes, labels, np.zeros(BOXES, bool), np.full(BOXES, 400.0, np.float32), np.arange(BOXES))
    found = Detections(boxes + 1, scores, labels, np.zeros(BOXES, np.int64), 1)
    evaluation = score_all([target], [found], [Category(1, "thing")])
    return f"AP {evaluation.summary.ap:.4f}"


def read(path: Path) -> str:
    """Read the file, and let two forked workers read every box."""
    from anchorloc.data import read_annotations

    annotations = read_annotations(path)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    own = peak()

    def work() -> None:
        before = private()
        boxes = sum(len(annotations.target(index)) for index in range(len(annotations)))
        queue.put((boxes, private() - before))

    workers = [context.Process(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    seen = [queue.get() for _ in workers]
    for worker in workers:
        worker.join()
    more = max(grown for _, grown in seen)
    return f"{seen[0][0]:,} boxes in {own:.0f} MiB; a worker {more:.0f} MiB more of its own"


def doctor(path: Path) -> str:
    """Check the file."""
    from anchorloc.doctor import diagnose, read_document

    diagnosis = diagnose([read_document(path)])
    return f"{len(diagnosis.tables[0].rows):,} boxes, {len(diagnosis.findings.cases)} kinds of findings"


def peak() -> float:
    """Return the peak memory of this process in MiB; getrusage would include its parent's."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def private() -> float:
    """Return the MiB that this process shares with no other."""
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


def main(argv: Sequence[str] | None = None) -> None:
    """Run every job in a process of its own, and write the table."""
    parser = recording_parser(__doc__)
    parser.add_argument("--only", choices=JOBS, metavar="JOB", help=f"run one of {', '.join(JOBS)}")
    parser.add_argument("--job", choices=JOBS, help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.job:
        start = time.perf_counter()
        jobs: dict[str, Callable[[], str]] = {
            "match": match,
            "suppress": suppress,
            "evaluate": evaluate,
            "read": lambda: read(arguments.file),
            "doctor": lambda: doctor(arguments.file),
        }
        words = jobs[arguments.job]()
        print(
            json.dumps({"seconds": round(time.perf_counter() - start, 1), "peak, MiB": round(peak()), "found": words})
        )
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "many.json"
        file.write_text(json.dumps(coco_like(60_000, ANNOTATIONS)), encoding="utf-8")
        rows = [row(job, file) for job in ([arguments.only] if arguments.only else JOBS)]
        megabytes = file.stat().st_size / 1e6
    print(f"{megabytes:.0f} MB of JSON", *rows, sep="\n")
    if not arguments.only:
        write_table(rows, "large_inputs", ("pycocotools",), record=arguments.record)


def row(job: str, file: Path) -> dict[str, object]:
    """Return one line of the table."""
    command = [sys.executable, "-m", "benchmarks.large_inputs", "--job", job, "--file", str(file)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return {"job": job, **json.loads(done.stdout)}


if __name__ == "__main__":
    main()
