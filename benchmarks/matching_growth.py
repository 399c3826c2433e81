"""Draw how the cost of matching grows, as a log-log picture: `python -m benchmarks.matching_growth`.

Boxes from 1 to 5,000 on 201,600 anchors, and anchors from 10,000 to 10,000,000 (square images, the default shapes) with
20 boxes. "sparse" is the assignment alone, "dense" includes the (A,) labels. torchvision's `box_iou` and `Matcher`, at
the best number of threads, stop where their matrix would need more than about 4 GB.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from anchorloc.anchors import AnchorGenerator
from anchorloc.assign import ATSSAssigner, MaxIoUAssigner
from benchmarks.matching import at_threads
from benchmarks.matching_peers import random_boxes, torchvision_matcher
from benchmarks.timing import RESULTS, median_seconds, recording_parser, significant, write_table

BOXES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
ANCHORS = (10_000, 31_600, 100_000, 316_000, 1_000_000, 3_160_000, 10_000_000)
ANCHORS_PER_PIXEL = 9 * sum(1 / stride**2 for stride in (8, 16, 32, 64, 128))
PAIRS = 110_000_000  # 36 bytes per pair
MAX_IOU, DENSE, ATSS, TORCH = "MaxIoU, sparse", "MaxIoU, dense", "ATSS, dense", "torchvision, dense"


def row_of(axis: str, image_size: tuple[int, int], count: int, rounds: int) -> dict[str, object]:
    """Return the milliseconds of every method, for one image size and number of boxes."""
    grid = AnchorGenerator()(image_size)
    boxes = random_boxes(count, image_size)
    max_iou, atss = MaxIoUAssigner(), ATSSAssigner()
    calls: dict[str, Callable[[], object]] = {
        MAX_IOU: lambda: max_iou(grid, boxes),
        DENSE: lambda: max_iou(grid, boxes).matched,
        ATSS: lambda: atss(grid, boxes).matched,
    }
    if len(grid) * count <= PAIRS:
        anchors = torch.from_numpy(grid.boxes)
        for threads in range(1, (os.cpu_count() or 1) + 1):
            calls[f"torch {threads}"] = at_threads(threads, lambda boxes: torchvision_matcher(anchors, boxes), boxes)
    times = median_seconds(calls, rounds)
    best = min((seconds for name, seconds in times.items() if name.startswith("torch")), default=math.nan)
    ways = {name: times[name] for name in (MAX_IOU, DENSE, ATSS)} | {TORCH: best}
    figures = {f"{name}, ms": "" if math.isnan(s) else significant(1e3 * s) for name, s in ways.items()}
    return {"axis": axis, "anchors": len(grid), "boxes": count, **figures}


def draw(axes: Axes, rows: list[dict[str, object]], axis: str, fixed: str) -> None:
    """Draw one log-log plot, each line labeled at its end."""
    chosen = [row for row in rows if row["axis"] == axis]
    for name, color in ((TORCH, "0.45"), (ATSS, "tab:orange"), (DENSE, "tab:blue"), (MAX_IOU, "tab:green")):
        points = [(float(str(row[axis])), float(str(row[f"{name}, ms"]))) for row in chosen if row[f"{name}, ms"]]
        axes.loglog(*zip(*points, strict=True), marker="o", markersize=3, color=color, label=name)
    axes.set_xlabel(f"{axis} ({fixed})")
    axes.set_ylabel("milliseconds per image")
    axes.grid(which="major", alpha=0.3)
    axes.legend(frameon=False, fontsize=8)


def main() -> None:
    """Time both series, write the table and draw the picture."""
    parser = recording_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="rounds for the median (default: 7)")
    arguments = parser.parse_args()
    rows = [row_of("boxes", (800, 1344), count, arguments.rounds) for count in BOXES]
    for anchors in ANCHORS:
        side = round(math.sqrt(anchors / ANCHORS_PER_PIXEL))
        rows.append(row_of("anchors", (side, side), 20, arguments.rounds))
    write_table(rows, "matching_growth", ("torch", "torchvision"), record=arguments.record)
    if arguments.record:
        figure = Figure(figsize=(9, 3.8), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        draw(left, rows, "boxes", "on 201,600 anchors")
        draw(right, rows, "anchors", "with 20 boxes")
        figure.savefig(RESULTS / "matching_growth.png", dpi=150)


if __name__ == "__main__":
    main()
