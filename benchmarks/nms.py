"""`nms` and `batched_nms` against torchvision and powerboxes: `python -m benchmarks.nms`.

The boxes are clustered, as a detector gives them: eight around each object. Every library gets float32 boxes in the
layout it is fastest with, made before the clock starts (powerboxes needs float64 scores), and must keep the same boxes.
torchvision's `batched_nms` shifts classes apart on up to 1000 boxes, which rounds; "decided otherwise" counts the boxes
on which it differs. A library is left out, and its row says so, if a call would take more than `LONGEST` seconds: its
time at the size before, scaled by the square of the boxes. powerboxes is left out if it is not installed. "times
sort" is the time divided by that of sorting the scores with NumPy, as suppression needs them: by a stable argsort.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import torch
import torchvision
from numpy.typing import NDArray

from anchorloc.boxes import batched_nms, nms

from .timing import Call, median_seconds, recording_parser, significant, write_table

COUNTS = (1000, 5000, 20_000, 100_000)
THRESHOLDS = (0.5, 0.7)
CLASSES = 80
OURS = "anchorloc"
SORT = "sort the scores"
LONGEST = 2.0  # seconds per call

Scored = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]


def clustered_boxes(count: int, seed: int = 0) -> Scored:
    """Return boxes, scores and classes: eight boxes of one class around each object.

    Objects have log-uniform sides of 12 to 200 px, in an image of 1344 x 800 px."""
    rng = np.random.default_rng(seed)
    objects = count // 8
    sides = np.exp(rng.uniform(np.log(12), np.log(200), (objects, 1)) + rng.uniform(-0.5, 0.5, (objects, 2)))
    centers, sides = np.repeat(rng.uniform(0, (1344, 800), (objects, 2)), 8, axis=0), np.repeat(sides, 8, axis=0)
    centers = centers + rng.normal(0, 0.08, centers.shape) * sides
    sides = sides * np.exp(rng.normal(0, 0.1, sides.shape))
    boxes = np.concatenate([centers - sides / 2, centers + sides / 2], axis=1).astype(np.float32)
    scores = rng.permutation(len(boxes)).astype(np.float32) / np.float32(len(boxes))
    return boxes, scores, np.repeat(rng.integers(0, CLASSES, objects), 8)


def contenders(scored: Scored, threshold: float) -> dict[str, Call]:
    """Return a function for the kept indices for every library, by name."""
    boxes, scores, _ = scored
    doubles = scores.astype(np.float64)
    tensors = torch.from_numpy(boxes), torch.from_numpy(scores)
    calls: dict[str, Call] = {
        OURS: lambda: nms(boxes, scores, threshold),
        **torchvision_calls(lambda: torchvision.ops.nms(*tensors, threshold)),
    }
    with suppress(ImportError):
        import powerboxes

        calls["powerboxes"] = lambda: powerboxes.nms(boxes, doubles, threshold, -1.0)
        calls["powerboxes, R-tree"] = lambda: powerboxes.rtree_nms(boxes, doubles, threshold, -1.0)
    return calls


def batched_contenders(scored: Scored, threshold: float) -> dict[str, Call]:
    """Return a function for the indices kept class by class for every library, by name."""
    tensors = [torch.from_numpy(part) for part in scored]
    return {
        OURS: lambda: batched_nms(*scored, threshold),
        **torchvision_calls(lambda: torchvision.ops.batched_nms(*tensors, threshold)),
    }


def torchvision_calls(call: Call) -> dict[str, Call]:
    """Return the call with each number of threads."""

    def with_threads(count: int) -> Call:
        def run() -> Any:
            torch.set_num_threads(count)
            return call().numpy()

        return run

    return {f"torchvision, {count} threads": with_threads(count) for count in range(1, (os.cpu_count() or 1) + 1)}


def rows_of(
    function: str, scored: Scored, threshold: float, rounds: int, slow: Mapping[str, float]
) -> list[dict[str, object]]:
    """Return the rows of one set of boxes; stop unless all keep the same, except where torchvision shifts classes.

    `slow` has the libraries to leave out, with the seconds that they would take."""
    calls = (contenders if function == "nms" else batched_contenders)(scored, threshold)
    chosen = {name: call for name, call in calls.items() if name not in slow}
    kept = {name: call() for name, call in chosen.items()}
    differ = {name: len(np.setxor1d(rows, kept[OURS])) for name, rows in kept.items()}
    if any(differ.values()) and (function == "nms" or len(scored[0]) > 1000):
        raise AssertionError(f"{function} of {len(scored[0])} boxes at {threshold}: boxes decided otherwise: {differ}")
    times = median_seconds({SORT: lambda: np.argsort(-scored[1], kind="stable"), **chosen}, rounds)
    return [
        {
            "function": function,
            "boxes": len(scored[0]),
            "threshold": threshold,
            "kept": len(kept[OURS]),
            "library": name,
            "milliseconds": significant(1e3 * times[name], 4) if name in times else f"about {1e3 * slow[name]:.0f}",
            "times anchorloc": significant(times[name] / times[OURS]) if name in times else "left out",
            "times sort": significant(times[name] / times[SORT]) if name in times else "",
            "decided otherwise": differ.get(name, ""),
        }
        for name in calls
    ]


def table(function: str, counts: Iterable[int], threshold: float, rounds: int) -> list[dict[str, object]]:
    """Return the rows of all numbers of boxes, from few to many."""
    rows: list[dict[str, object]] = []
    last: dict[str, tuple[int, float]] = {}  # boxes and seconds of the last timing of each library
    for count in sorted(counts):
        expected = {name: seconds * (count / fewer) ** 2 for name, (fewer, seconds) in last.items() if name != OURS}
        slow = {name: seconds for name, seconds in expected.items() if seconds > LONGEST}
        found = rows_of(function, clustered_boxes(count), threshold, rounds, slow)
        timed = (row for row in found if row["library"] not in slow)
        last |= {str(row["library"]): (count, float(str(row["milliseconds"])) / 1e3) for row in timed}
        rows += found
    return rows


def main() -> None:
    """Time every number of boxes and write the table."""
    parser = recording_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="rounds for the median (default: 9)")
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS, help="numbers of boxes")
    args = parser.parse_args()
    rows = [
        row
        for function in ("nms", "batched_nms")
        for threshold in THRESHOLDS
        for row in table(function, args.counts, threshold, args.rounds)
    ]
    write_table(rows, "nms", ("torch", "torchvision", "powerboxes"), record=args.record)


if __name__ == "__main__":
    main()
