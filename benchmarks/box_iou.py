"""`box_iou` against torchvision, powerboxes, supervision, pycocotools and cython_bbox: `python -m benchmarks.box_iou`.

Every library gets float32 boxes in the layout it is fastest with, made before the clock starts (pycocotools and
cython_bbox take float64 only). All must give the same matrix, except cython_bbox, which counts a box of 0 to 10 as 11
wide. "fill" writes one constant into the same matrix: no code that writes its result can be faster. "bar" is the most
times the fill that one thread of ours should take. "GB/s" is the size of the matrix by the time, and for the fill the
bandwidth of the machine. Peers that are not installed are left out.
"""

from __future__ import annotations

import os
import warnings
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
import pycocotools.mask
import torch
import torchvision
from numpy.typing import NDArray

from anchorloc.boxes import box_convert, box_iou

from .timing import Call, median_seconds, recording_parser, significant, write_table

BARS = {(1000, 1000): 2, (20_000, 100): 2, (5000, 5000): 1.2}  # most times the fill, by size
OURS = "anchorloc, out=, 1 thread"
FILL = "fill the matrix"


def random_boxes(count: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return boxes in an image of 1344 x 800 px, sides log-uniform from 12 to 500 px."""
    sides = np.exp(rng.uniform(np.log(12), np.log(500), (count, 2)))
    centers = rng.uniform(0, (1344, 800), (count, 2))
    return np.concatenate([centers - sides / 2, centers + sides / 2], axis=1).astype(np.float32)


def contenders(boxes1: NDArray[np.float32], boxes2: NDArray[np.float32]) -> dict[str, Call]:
    """Return a function for the (N, M) matrix for every library, by name."""
    tensors = torch.from_numpy(boxes1), torch.from_numpy(boxes2)
    doubles = boxes1.astype(np.float64), boxes2.astype(np.float64)
    xywh = [box_convert(some, "xyxy", "xywh") for some in doubles]
    crowd = np.zeros(len(boxes2), np.uint8)
    out = np.zeros((len(boxes1), len(boxes2)), np.float32)

    def torchvision_iou(threads: int) -> Call:
        def call() -> Any:
            torch.set_num_threads(threads)
            return torchvision.ops.box_iou(*tensors).numpy()

        return call

    threads = range(1, (os.cpu_count() or 1) + 1)
    calls: dict[str, Call] = {
        OURS: lambda: box_iou(boxes1, boxes2, out=out),
        **{f"anchorloc, out=, {count} threads": partial(box_iou, boxes1, boxes2, out, count) for count in threads[1:]},
        "anchorloc, new matrix": lambda: box_iou(boxes1, boxes2),
        FILL: lambda: out.fill(1),
        **{f"torchvision, {count} threads": torchvision_iou(count) for count in threads},
        "pycocotools": lambda: pycocotools.mask.iou(*xywh, crowd),
    }
    with suppress(ImportError):
        import powerboxes

        calls["powerboxes"] = lambda: powerboxes.iou_distance(boxes1, boxes2)
        calls["powerboxes, parallel"] = lambda: powerboxes.parallel_iou_distance(boxes1, boxes2)
    with suppress(ImportError), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # supervision warns about OpenCV, which is not needed here
        import supervision

        calls["supervision"] = lambda: supervision.box_iou_batch(boxes1, boxes2)
    with suppress(ImportError):
        import cython_bbox

        calls["cython_bbox"] = lambda: cython_bbox.bbox_overlaps(*doubles)
    return calls


def check(calls: dict[str, Call]) -> None:
    """Stop unless all matrices agree."""
    expected = calls[OURS]().copy()
    for name, call in calls.items():
        if name.startswith("torchvision"):
            np.testing.assert_array_equal(call(), expected)
        elif name not in (OURS, FILL, "cython_bbox"):
            found = 1 - call() if name.startswith("powerboxes") else call()
            np.testing.assert_allclose(found, expected, atol=1e-5)


def rows_of(size: tuple[int, int], rounds: int) -> list[dict[str, object]]:
    """Return the rows of one size."""
    rng = np.random.default_rng(0)
    calls = contenders(random_boxes(size[0], rng), random_boxes(size[1], rng))
    check(calls)
    times = median_seconds(calls, rounds)
    return [
        {
            "boxes": f"{size[0]} x {size[1]}",
            "library": name,
            "milliseconds": significant(1e3 * seconds, 4),
            "times anchorloc": significant(seconds / times[OURS]),
            "times fill": significant(seconds / times[FILL]),
            "bar": BARS[size] if name == OURS else "",
            "GB/s": significant(4e-9 * size[0] * size[1] / seconds),
        }
        for name, seconds in times.items()
    ]


def main() -> None:
    """Time every size and write the table."""
    parser = recording_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="rounds for the median (default: 9)")
    arguments = parser.parse_args()
    rows = [row for size in BARS for row in rows_of(size, arguments.rounds)]
    peers = ("torch", "torchvision", "powerboxes", "supervision", "pycocotools", "cython_bbox")
    write_table(rows, "box_iou", peers, record=arguments.record)


if __name__ == "__main__":
    main()
