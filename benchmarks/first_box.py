"""Measure the seconds and the memory from the start of Python to the boxes of a photo.

    python -m benchmarks.first_box                # about two minutes, most of it for the export

A process loads a checkpoint, or its ONNX file with torch and torchvision made absent, and finds the objects of one
photo. The network is that of `benchmarks.latency`. A row has the medians of the rounds; processes of both kinds take
turns.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from anchorloc.export.model_file import export_model
from benchmarks.latency import draw_photos, random_checkpoint
from benchmarks.timing import recording_parser, significant, write_table

ROOT = Path(__file__).resolve().parents[1]
CODE = """
import sys
if sys.argv[1].endswith(".onnx"):
    sys.modules |= dict.fromkeys(["torch", "torchvision"])  # an import of them raises ImportError
import anchorloc
found = anchorloc.load(sys.argv[1], device="cpu")(sys.argv[2], score=0)
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))  # of this program alone, in kB
print(len(found), peak.split()[1])
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, and write the table."""
    parser = recording_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        photos = draw_photos(folder / "photos")
        checkpoint, exported = random_checkpoint(folder / "best.pt"), folder / "model.onnx"
        export_model(checkpoint, exported, photos)
        files = (checkpoint, exported)
        for file in files:  # numba writes its cache, and the system reads the packages
            measure(file, photos / "0.jpg")
        rounds = [[measure(file, photos / "0.jpg") for file in files] for _ in range(arguments.rounds)]
    rows = []
    for file, measured in zip(files, zip(*rounds, strict=True), strict=True):
        seconds, megabytes, boxes = (statistics.median(values) for values in zip(*measured, strict=True))
        numbers = {"seconds": significant(seconds), "MB": significant(megabytes), "boxes": f"{boxes:.0f}"}
        rows.append({"file": file.name, **numbers})
    write_table(rows, "first_box", ("torch", "onnxruntime"), record=arguments.record)


def measure(file: Path, photo: Path) -> tuple[float, float, float]:
    """Return the seconds, the peak resident MB and the number of boxes of a process."""
    start = time.perf_counter()
    command = [sys.executable, "-c", CODE, str(file), str(photo)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    boxes, kilobytes = map(int, done.stdout.split())
    return time.perf_counter() - start, kilobytes / 1000, boxes


if __name__ == "__main__":
    main()
