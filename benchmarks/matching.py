"""Matching 201,600 anchors (800 x 1344 px, strides 8 to 128, 9 shapes) against torch: `python -m benchmarks.matching`.

The boxes are log-uniform from 12 to 500 px. All methods return the dense (A,) labels from float32 boxes, on anchors
that are made before the clock starts: `MaxIoUAssigner` against torchvision's `box_iou` and `Matcher`, whose labels must
be equal, and `ATSSAssigner` against ATSS in torch. Torch runs at every number of threads; the best time counts. "fill"
is the time to fill an int32 and a float32 array of A numbers, and "bar" the most times the fill that `MaxIoUAssigner`
should take. "of it, labels" is the part that writes the dense labels. These three take turns with ours before torch
first runs in the process, because its threads spin for a while after each call and slow the other core. Memory is the
peak that one call adds to a process of its own.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from anchorloc.anchors import AnchorGenerator
from anchorloc.assign import ATSSAssigner, MaxIoUAssigner
from anchorloc.structures import AnchorGrid
from benchmarks.matching_peers import Boxes, random_boxes, torch_atss, torchvision_matcher
from benchmarks.timing import median_seconds, recording_parser, significant, write_table

IMAGE = (800, 1344)
BARS = {1: 1.2, 7: 1.2, 20: 1.2, 100: 2.5, 500: 12}  # most times the fill, by number of boxes
Match = Callable[[Boxes], NDArray[np.integer]]


def matchers(grid: AnchorGrid) -> dict[str, tuple[Match, Match]]:
    """Return our and torch's functions for the labels, by name."""
    anchors = torch.from_numpy(grid.boxes)
    max_iou, atss = MaxIoUAssigner(), ATSSAssigner()
    return {
        "MaxIoU": (lambda boxes: max_iou(grid, boxes).matched, lambda boxes: torchvision_matcher(anchors, boxes)),
        "ATSS": (lambda boxes: atss(grid, boxes).matched, lambda boxes: torch_atss(grid, anchors, boxes)),
    }


def at_threads(threads: int, match: Match, boxes: Boxes) -> Callable[[], object]:
    """Return a call of torch's `match` with a number of threads."""

    def call() -> object:
        torch.set_num_threads(threads)
        return match(boxes)

    return call


def fill_of(count: int) -> Callable[[], None]:
    """Return a call that fills an int32 and a float32 array."""
    labels, overlaps = np.empty(count, np.int32), np.empty(count, np.float32)

    def call() -> None:
        labels.fill(-1)
        overlaps.fill(0)

    return call


def labels_of(grid: AnchorGrid, boxes: Boxes) -> Callable[[], object]:
    """Return a call that writes the dense labels of a finished assignment."""
    assignment = MaxIoUAssigner()(grid, boxes)
    return lambda: assignment.matched


def differing(match: Match, peer: Match, boxes: Boxes) -> int:
    """Return the number of labels that differ."""
    return int((match(boxes) != peer(boxes)).sum())


def own_times(name: str, grid: AnchorGrid, count: int, rounds: int) -> dict[str, float]:
    """Return the seconds of ours, of its dense labels and of the fill; torch must not have run."""
    boxes, (match, _) = random_boxes(count, IMAGE), matchers(grid)[name]
    calls = {"ours": lambda: match(boxes), "labels": labels_of(grid, boxes), "fill": fill_of(len(grid))}
    return median_seconds(calls, rounds)


def row_of(name: str, grid: AnchorGrid, count: int, rounds: int, own: dict[str, float]) -> dict[str, object]:
    """Return the row of one assigner and one number of boxes; `own` is its `own_times`."""
    match, peer = matchers(grid)[name]
    boxes = random_boxes(count, IMAGE)
    threads = range(1, (os.cpu_count() or 1) + 1)
    calls = {"ours": lambda: match(boxes), **{f"torch {n}": at_threads(n, peer, boxes) for n in threads}}
    times = median_seconds(calls, rounds)
    best = min((f"torch {n}" for n in threads), key=times.__getitem__)
    different = differing(match, peer, boxes)
    if name == "MaxIoU" and different:
        raise SystemExit(f"{different} labels of {count} boxes differ from torchvision's")
    return {
        "assigner": name,
        "boxes": count,
        "ours, ms": significant(1e3 * times["ours"]),
        "torch, ms": significant(1e3 * times[best]),
        "torch threads": best.removeprefix("torch "),
        "times faster": significant(times[best] / times["ours"]),
        "alone, ms": significant(1e3 * own["ours"]),
        "times fill": significant(own["ours"] / own["fill"]),
        "bar": BARS[count] if name == "MaxIoU" else "",
        "of it, labels": significant(own["labels"] / own["fill"]) if name == "MaxIoU" else "",
        "fill, GB/s": significant(8e-9 * len(grid) / own["fill"]),
        "labels that differ": different,
        "ours, MiB": in_fresh_process(name, count, 0),
        "torch, MiB": in_fresh_process(name, count, 1),
    }


def in_fresh_process(name: str, count: int, which: int) -> str:
    """Return `added_memory` of a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return significant(pool.apply(added_memory, (name, count, which)))


def added_memory(name: str, count: int, which: int) -> float:
    """Return the MiB that a call with `count` boxes adds to the peak memory of this process.

    A call with one box on a small image has loaded all code before."""
    small = AnchorGenerator()((64, 64))
    matchers(small)[name][which](random_boxes(1, (64, 64)))
    grid = AnchorGenerator()(IMAGE)
    match, boxes = matchers(grid)[name][which], random_boxes(count, IMAGE)
    Path("/proc/self/clear_refs").write_text("5")  # reset the peak
    before = peak_memory()
    match(boxes)
    return peak_memory() - before


def peak_memory() -> float:
    """Return the peak memory of this process in MiB, as Linux reports it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def main() -> None:
    """Time every number of boxes and write the table."""
    parser = recording_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="rounds for the median (default: 9)")
    arguments = parser.parse_args()
    grid = AnchorGenerator()(IMAGE)
    cases = [(name, count) for name in ("MaxIoU", "ATSS") for count in BARS]
    own = {(name, count): own_times(name, grid, count, arguments.rounds) for name, count in cases}
    rows = [row_of(name, grid, count, arguments.rounds, own[name, count]) for name, count in cases]
    write_table(rows, "matching", ("torch", "torchvision"), record=arguments.record)


if __name__ == "__main__":
    main()
