"""Time and memory of scoring at COCO's size: `python -m benchmarks.evaluate_speed`.

5,000 images, 37,000 boxes and 80 classes (`benchmarks.coco_like`) with 300,000 synthetic detections: four of five boxes
are found, some twice or as another class, and the other detections are noise of low score. Each task runs in a process
of its own. The time of the report includes its start and the reading of its files.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from anchorloc.data import read_annotations, read_results
from anchorloc.metrics import bootstrap, evaluate, match_targets, weighted_curves
from benchmarks.coco_like import coco_like
from benchmarks.timing import recording_parser, write_table

DETECTIONS = 300_000
RESAMPLES = 1000
ASKED = {"validation": 3, "resamples": 60, "evaluate with report": 90}  # seconds
FOUND, DOUBLE, OTHER_CLASS = 0.8, 0.15, 0.08  # probabilities


def detections(document: dict[str, Any], count: int = DETECTIONS, seed: int = 0) -> list[dict[str, Any]]:
    """Return synthetic detections of a mediocre detector, in COCO's result format."""
    random = np.random.default_rng(seed)
    truth = document["annotations"]
    boxes = np.array([item["bbox"] for item in truth])
    source = np.concatenate([np.flatnonzero(random.random(len(truth)) < chance) for chance in (FOUND, DOUBLE)])
    moved = boxes[source]
    noise = random.normal(0, 1, moved.shape) * random.gamma(1.5, 0.06, (len(moved), 1))
    moved = np.maximum(moved + noise * np.tile(moved[:, 2:], 2), 0)
    images = np.array([item["image_id"] for item in truth])[source]
    labels = np.array([item["category_id"] for item in truth])[source]
    other = random.random(len(labels)) < OTHER_CLASS
    labels[other] = random.integers(1, len(document["categories"]) + 1, int(other.sum()))
    left = count - len(source)
    stray = random.integers(0, len(truth), left)
    sizes = np.array([(image["width"], image["height"]) for image in document["images"]])
    stray_images = random.integers(0, len(sizes), left)
    sides = np.minimum(boxes[stray, 2:], sizes[stray_images])
    places = random.random((left, 2)) * (sizes[stray_images] - sides)
    everything = zip(
        [*images.tolist(), *(1 + stray_images).tolist()],
        [*labels.tolist(), *(truth[row]["category_id"] for row in stray.tolist())],
        np.concatenate([moved, np.concatenate([places, sides], axis=1)]).round(2).tolist(),
        np.concatenate([random.beta(4, 2, len(source)), random.beta(1, 8, left)]).round(6).tolist(),
        strict=True,
    )
    return [
        {"image_id": image, "category_id": label, "bbox": box, "score": score}
        for image, label, box, score in everything
    ]


def main(argv: Sequence[str] | None = None) -> None:
    """Run every task in a process of its own and write the table."""
    parser = recording_parser(__doc__)
    parser.add_argument("--task", choices=("validation", "resamples"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.task:
        print(*seconds_of(arguments.task, arguments.folder))
        return
    with tempfile.TemporaryDirectory() as name:
        folder, document = Path(name), coco_like()
        (folder / "truth.json").write_text(json.dumps(document), encoding="utf-8")
        (folder / "found.json").write_text(json.dumps(detections(document)), encoding="utf-8")
        rows = [inner("validation", folder), inner("resamples", folder), report(folder)]
    write_table(rows, "evaluate_speed", ("pycocotools",), record=arguments.record)


def seconds_of(task: str, folder: Path) -> tuple[float, float]:
    """Return the wall and CPU seconds of a task, without the reading of the files.

    Kernels are compiled before, on empty data.
    """
    truth = read_annotations(folder / "truth.json")
    found = read_results(folder / "found.json", truth)
    targets = [truth.target(index) for index in range(len(truth))]
    empty = match_targets([], [], truth.categories, 100)
    weighted_curves(empty, limits=(1, 10, 100))
    outcomes = match_targets(targets, found, truth.categories, 100) if task == "resamples" else empty
    start, used = time.perf_counter(), time.process_time()
    if task == "validation":
        evaluate(targets, found, truth.categories, fast=True)
    else:
        bootstrap(outcomes, (1, 10, 100), RESAMPLES, threads=2)
    return time.perf_counter() - start, time.process_time() - used


def inner(task: str, folder: Path) -> dict[str, object]:
    """Return one line of the table, timed inside the process."""
    words = ["-m", "benchmarks.evaluate_speed", "--task", task, "--folder", str(folder)]
    done = subprocess.run([sys.executable, *words], check=True, capture_output=True, text=True)
    return row(task, *map(float, done.stdout.split()))


def report(folder: Path) -> dict[str, object]:
    """Return the line of the whole command: start, files, pycocotools, analysis, 1,000 resamples and report."""
    files = [f"--detections={folder / 'found.json'}", f"--annotations={folder / 'truth.json'}"]
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    words = [sys.executable, "-m", "anchorloc.evaluate", *files, "--out", str(folder / "report")]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return row("evaluate with report", seconds, used)


def row(task: str, seconds: float, used: float) -> dict[str, object]:
    """Return one line; the peak is of the largest process so far, so the largest task runs last."""
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {
        "task": task,
        "seconds": f"{seconds:.1f}",
        "CPU seconds": f"{used:.1f}",
        "asked, s": ASKED[task],
        "peak so far, MiB": f"{peak:.0f}",
        "load of the machine": f"{os.getloadavg()[0]:.1f}",
    }


if __name__ == "__main__":
    main()
