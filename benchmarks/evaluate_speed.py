"""Time and memory of scoring at COCO's size: `python -m benchmarks.evaluate_speed`.

5,000 images, 37,000 boxes and 80 classes (`benchmarks.coco_like`) with 300,000 synthetic detections: four of five boxes
are found, some twice or as another class, and the other detections are noise of low score. Each task runs in a process
of its own. The times of the commands include their start and the reading of their files.

`--peers` instead scores the same detections with pycocotools, hotcoco and faster-coco-eval, where they are installed,
and with ours, in turns in one process. Each has read its files before. Its table has the ratio to the time of ours, and
the difference in AP.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from anchorloc.data import read_annotations, read_results
from anchorloc.metrics import bootstrap, evaluate, match_targets, weighted_scores
from benchmarks.coco_like import coco_like
from benchmarks.timing import recording_parser, write_table

DETECTIONS = 300_000
RESAMPLES = 1000
ASKED = {"validation": 3, "resamples": 3, "evaluate": 10, "compare": 20}  # seconds
PEERS = {  # name: the modules of COCO and COCOeval, the name of the latter, rounds
    "pycocotools": ("pycocotools.coco", "pycocotools.cocoeval", "COCOeval", 1),
    "hotcoco": ("hotcoco", "hotcoco", "COCOeval", 5),
    "faster-coco-eval": ("faster_coco_eval", "faster_coco_eval", "COCOeval_faster", 5),
}
Scoring = Callable[[], float]  # score once and return AP
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
    parser.add_argument("--peers", action="store_true", help="score beside other scorers, in place of the tasks")
    parser.add_argument("--task", choices=("validation", "resamples"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.task:
        print(*seconds_of(arguments.task, arguments.folder))
        return
    with tempfile.TemporaryDirectory() as name:
        folder, document = Path(name), coco_like()
        (folder / "truth.json").write_text(json.dumps(document), encoding="utf-8")
        for seed in (0, 1):
            results = json.dumps(detections(document, seed=seed))
            (folder / f"found_{seed}.json").write_text(results, encoding="utf-8")
        if arguments.peers:
            write_table(beside_peers(folder), "evaluate_peers", tuple(PEERS), record=arguments.record)
            return
        annotated, found = (
            ("--annotations", str(folder / "truth.json")),
            [str(folder / f"found_{i}.json") for i in (0, 1)],
        )
        rows = [
            inner("validation", folder),
            inner("resamples", folder),
            command("evaluate", "--detections", found[0], *annotated, "--out", str(folder / "report")),
            command("compare", *found, *annotated, "--out", str(folder / "comparison")),
        ]
    write_table(rows, "evaluate_speed", record=arguments.record)


def seconds_of(task: str, folder: Path) -> tuple[float, float]:
    """Return the wall and CPU seconds of a task, without the reading of the files.

    Kernels are compiled before, on empty data.
    """
    truth = read_annotations(folder / "truth.json")
    found = read_results(folder / "found_0.json", truth)
    targets = [truth.target(index) for index in range(len(truth))]
    empty = match_targets([], [], truth.categories, 100)
    weighted_scores(empty, limits=(1, 10, 100))
    outcomes = match_targets(targets, found, truth.categories, 100) if task == "resamples" else empty
    start, used = time.perf_counter(), time.process_time()
    if task == "validation":
        evaluate(targets, found, truth.categories)
    else:
        bootstrap(outcomes, (1, 10, 100), RESAMPLES, threads=2)
    return time.perf_counter() - start, time.process_time() - used


def inner(task: str, folder: Path) -> dict[str, object]:
    """Return one line of the table, timed inside the process."""
    words = ["-m", "benchmarks.evaluate_speed", "--task", task, "--folder", str(folder)]
    done = subprocess.run([sys.executable, *words], check=True, capture_output=True, text=True)
    return row(task, *map(float, done.stdout.split()))


def command(name: str, *words: str) -> dict[str, object]:
    """Return the line of a whole command."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", f"anchorloc.{name}", *words], check=True, stdout=subprocess.DEVNULL)
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return row(name, seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def beside_peers(folder: Path) -> list[dict[str, object]]:
    """Score with every scorer in turns, and return a line for each."""
    truth = read_annotations(folder / "truth.json")
    found = read_results(folder / "found_0.json", truth)
    targets = [truth.target(index) for index in range(len(truth))]
    scorings: dict[str, Scoring] = {"anchorloc": lambda: evaluate(targets, found, truth.categories).summary.ap or 0.0}
    rounds, missing = {"anchorloc": 5}, dict[str, str]()
    for name, (coco_module, eval_module, class_name, count) in PEERS.items():
        try:
            coco, scorer = (importlib.import_module(module) for module in (coco_module, eval_module))
        except ImportError:
            missing[name] = f"not installed; run: pip install {name}"
            continue
        scorings[name] = peer(coco.COCO, getattr(scorer, class_name), folder)
        rounds[name] = count
    ap = {name: scoring() for name, scoring in scorings.items() if rounds[name] > 1}  # compiles, and fills caches
    seconds: dict[str, list[float]] = {name: [] for name in scorings}
    for number in range(max(rounds.values())):
        for name, scoring in scorings.items():
            if number < rounds[name]:
                start = time.perf_counter()
                ap[name] = scoring()
                seconds[name].append(time.perf_counter() - start)
    ours = float(np.median(seconds["anchorloc"]))
    lines: list[dict[str, object]] = [
        {
            "scorer": name,
            "seconds": f"{np.median(some):.2f}",
            "by ours": f"{np.median(some) / ours:.2f}",
            "difference in AP": f"{ap[name] - ap['anchorloc']:.2g}",
        }
        for name, some in seconds.items()
    ]
    for name, why in missing.items():
        lines.append({**dict.fromkeys(lines[0], ""), "scorer": f"{name}: {why}"})
    return lines


def peer(coco: Any, scorer: Any, folder: Path) -> Scoring:
    """Return a function that scores with the interface of pycocotools; the files are read here."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco(str(folder / "truth.json"))
        found = truth.loadRes(str(folder / "found_0.json"))

    def score() -> float:
        with contextlib.redirect_stdout(io.StringIO()):
            evaluator = scorer(truth, found, "bbox")
            evaluator.evaluate()
            evaluator.accumulate()
            evaluator.summarize()
        return float(evaluator.stats[0])

    return score


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
