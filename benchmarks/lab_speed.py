"""Time and memory of the lab on a data set of COCO's size: `python -m benchmarks.lab_speed`.

5,000 images, 37,000 boxes and 80 classes (`benchmarks.coco_like`) at 800 px with RetinaNet's nine shapes on five
levels, about 200,000 anchors per image; each command runs in a process of its own, its start included.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.coco_like import coco_like
from benchmarks.timing import recording_parser, write_table

SETTINGS = (
    "transform.resize={kind: ShortestSide, size: 800, max_size: 1333}",
    "anchors={strides: [8, 16, 32, 64, 128], scales: [4, 5, 6.3], height_to_width: [0.5, 1, 2]}",
    "assign={kind: MaxIoUAssigner}",
)


def main(argv: Sequence[str] | None = None) -> None:
    """Run both commands and write the table."""
    parser = recording_parser(__doc__)
    parser.add_argument("--commands", nargs="+", default=["report", "fit"], choices=["report", "fit"])
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "coco_like.json"
        path.write_text(json.dumps(coco_like()), encoding="utf-8")
        rows = [measure(command, path) for command in arguments.commands]
    write_table(rows, "lab_speed", ("torch", "pycocotools"), record=arguments.record)


def measure(command: str, path: Path) -> dict[str, object]:
    """Return one line; peak memory is of the largest process so far, so the larger command runs last."""
    words = [sys.executable, "-m", "anchorloc.lab", command, str(path), *SETTINGS, "--out", str(path.parent / command)]
    start = time.perf_counter()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {"command": f"lab {command}", "seconds": f"{seconds:.1f}", "peak so far, MiB": f"{peak:.0f}"}


if __name__ == "__main__":
    main()
