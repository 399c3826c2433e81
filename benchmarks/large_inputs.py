"""Time and memory of inputs far larger than usual: `python -m benchmarks.large_inputs`.

- An image with 50,000 boxes on a grid of about 100,000 anchors: matching and NMS of 100,000 detections. torchvision's
  matrix of overlaps alone would take 36 bytes per pair, 180 GB.
- The same boxes as a file of one image, with 50,000 detections, in every command that reads boxes: `evaluate` with no
  limit of detections, `doctor`, `compare`, `lab report` and `train --plan`.
- 10,000 classes of which 200 have boxes, and 10,000 classes that all have boxes and detections, in `evaluate`; the
  latter in `compare` too.
- A COCO file of 1,000,000 annotations on 100,000 images: read, and then used by two loader workers; in `doctor`,
  without the image files; and in `lab report`, which measures a sample. The memory of the workers is their private
  memory, which they do not share with the process that read the file.

Each job runs in a process of its own, its imports included. `--only JOB ...` prints some of them and writes no table.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.coco_like import coco_like
from benchmarks.timing import recording_parser, write_table

BOXES, SIDE = 50_000, 1008  # px
IMAGES, ANNOTATIONS = 100_000, 1_000_000
CLASSES = 10_000
COMMANDS = {  # job: the words of the command; FOLDER holds the files
    "evaluate 50,000 boxes": "evaluate --detections FOLDER/crowd_1.json --annotations FOLDER/crowd.json --out FOLDER/1 "
    f"--max-detections {BOXES} --resamples 10",
    "doctor 50,000 boxes": "doctor FOLDER/crowd.json",
    "compare 50,000 boxes": "compare FOLDER/crowd_1.json FOLDER/crowd_2.json --annotations FOLDER/crowd.json "
    "--out FOLDER/2",
    "lab 50,000 boxes": "lab report FOLDER/crowd.json --out FOLDER/3",
    "plan 50,000 boxes": "train FOLDER/crowd --plan",
    "evaluate 200 of 10,000 classes": "evaluate --detections FOLDER/few_1.json --annotations FOLDER/few.json "
    "--out FOLDER/4",
    "evaluate 10,000 classes": "evaluate --detections FOLDER/all_1.json --annotations FOLDER/all.json --out FOLDER/5",
    "compare 10,000 classes": "compare FOLDER/all_1.json FOLDER/all_2.json --annotations FOLDER/all.json "
    "--out FOLDER/6",
    "doctor 1,000,000 boxes": "doctor FOLDER/many.json",
    "lab 1,000,000 boxes": "lab report FOLDER/many.json --out FOLDER/7",
}
JOBS = ("match", "suppress", "read", *COMMANDS)


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


def peak() -> float:
    """Return the peak memory of this process in MiB; getrusage would include its parent's."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def private() -> float:
    """Return the MiB that this process shares with no other."""
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


def write_files(folder: Path, jobs: Sequence[str]) -> None:
    """Write the files that some of the jobs read."""
    if any("50,000" in job for job in jobs):
        boxes = crowded_boxes(BOXES).astype(np.float64)
        boxes[:, 2:] -= boxes[:, :2]
        labels = np.zeros(BOXES, np.int64)
        write_set(folder / "crowd", boxes.round(2), labels, np.zeros(BOXES, np.int64), 1)
        Image.new("RGB", (SIDE, SIDE), "teal").save(folder / "crowd" / "1.jpg")
    if any("classes" in job for job in jobs):
        grid = np.array([[100.0 * (place % 10), 100.0 * (place // 10 % 10), 60, 60] for place in range(2 * CLASSES)])
        everything = np.arange(2 * CLASSES)
        write_set(folder / "few", grid[:200], 50 * np.arange(200), np.arange(200) // 10, CLASSES)
        write_set(folder / "all", grid, everything % CLASSES, everything // 100, CLASSES)
    if any("1,000,000" in job for job in jobs) or "read" in jobs:
        (folder / "many.json").write_text(json.dumps(coco_like(IMAGES, ANNOTATIONS)), encoding="utf-8")


def write_set(path: Path, boxes: np.ndarray, labels: np.ndarray, images: np.ndarray, classes: int) -> None:
    """Write a COCO file NAME.json, NAME/train.json and NAME/val.json, and two result files NAME_1 and NAME_2.json.

    Args:
        path: the path without .json.
        boxes: (M, 4) x, y, width, height.
        labels: (M,).
        images: (M,), from 0.
        classes: the number of classes.
    """
    rows = list(zip(boxes.tolist(), (labels + 1).tolist(), (images + 1).tolist(), strict=True))
    document = {
        "images": [
            {"id": number, "file_name": f"{number}.jpg", "width": SIDE, "height": SIDE}
            for number in range(1, int(images.max()) + 2)
        ],
        "annotations": [
            {"id": number, "image_id": image, "category_id": label, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
            for number, (box, label, image) in enumerate(rows, 1)
        ],
        "categories": [{"id": number, "name": f"class {number}"} for number in range(1, classes + 1)],
    }
    path.mkdir()
    for file in (path.with_suffix(".json"), path / "train.json", path / "val.json"):
        file.write_text(json.dumps(document), encoding="utf-8")
    random = np.random.default_rng(1)
    for number in (1, 2):
        moved = (boxes + np.array([number, number, 0, 0])).round(2).tolist()
        scores = random.random(len(boxes)).round(4).tolist()
        found = [
            {"image_id": image, "category_id": label, "bbox": box, "score": score}
            for (_, label, image), box, score in zip(rows, moved, scores, strict=True)
        ]
        path.with_name(f"{path.name}_{number}.json").write_text(json.dumps(found), encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> None:
    """Run every job in a process of its own, and write the table."""
    parser = recording_parser(__doc__)
    parser.add_argument("--only", choices=JOBS, nargs="+", metavar="JOB", help=f"run some of {', '.join(JOBS)}")
    parser.add_argument("--job", choices=JOBS, help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.job:
        jobs: dict[str, Callable[[], str]] = {
            "match": match,
            "suppress": suppress,
            "read": lambda: read(arguments.file),
        }
        print(jobs[arguments.job]())
        return
    chosen = arguments.only or JOBS
    with tempfile.TemporaryDirectory() as name:
        writer = multiprocessing.get_context("fork").Process(target=write_files, args=(Path(name), chosen))
        writer.start()  # in a process of its own: the peak of a child counts the memory that its parent had
        writer.join()
        rows = []
        for job in chosen:
            rows.append(row(job, Path(name)))
            print(rows[-1], flush=True)
    if not arguments.only:
        write_table(rows, "large_inputs", record=arguments.record)


def row(job: str, folder: Path) -> dict[str, Any]:
    """Run a job and return its line of the table."""
    words = ["benchmarks.large_inputs", "--job", job, "--file", str(folder / "many.json")]
    if job in COMMANDS:
        words = f"anchorloc.{COMMANDS[job]}".replace("FOLDER", str(folder)).split()
    start = time.perf_counter()
    with subprocess.Popen([sys.executable, "-m", *words], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        output = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)  # the peak of this process alone
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):  # 1: the doctor has found something
        raise SystemExit(f"{' '.join(words)} ended with status {process.returncode}")
    return {
        "job": job,
        "seconds": f"{time.perf_counter() - start:.1f}",
        "CPU seconds": f"{used.ru_utime + used.ru_stime:.1f}",
        "peak, MiB": f"{used.ru_maxrss / 1024:.0f}",
        "found": "" if job in COMMANDS else output.strip(),
    }


if __name__ == "__main__":
    main()
