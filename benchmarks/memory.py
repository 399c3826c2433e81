"""Measure the peak memory of a training with its loader workers: the default run, a data set, large photographs.

    python -m benchmarks.memory                          # default run, photographs; about five minutes
    python -m benchmarks.memory --also configs/bccd.yaml data.root=DATA

The photographs are 20 of 12 megapixels under many names, with the image cache on, read by the loader of a run with two
workers. Memory is the sum of the proportional set sizes (PSS) of the process and its children, so that a page that they
share counts once. It is read four times a second; the table has the greatest sum, and the seconds until it came.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from anchorloc.config import read_config
from anchorloc.engine.build import batches, train_loader
from benchmarks.timing import recording_parser, significant, write_table

PHOTOS, HEIGHT, WIDTH = 20, 3000, 4000
SETTINGS = [
    "transform.resize={kind: ShortestSide, size: 320, max_size: 427}",
    "train.batch_size=8",
    "train.workers=2",
]


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, and write the table."""
    parser = recording_parser(__doc__)
    parser.add_argument("--also", nargs="+", default=[], metavar="WORD", help="a config and overrides of another run")
    parser.add_argument("--steps", type=int, default=40, help="steps of each training (default: 40)")
    parser.add_argument("--names", type=int, default=5000, help="names of the photographs (default: 5,000)")
    parser.add_argument("--read", type=int, default=2000, help="images to read of them (default: 2,000)")
    parser.add_argument("--load", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.load:
        load(arguments.load, arguments.read)
        return
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        short = [f"train.length={arguments.steps} iterations", "train.workers=2"]
        runs = {"the default run": short}
        if arguments.also:
            runs[Path(arguments.also[0]).stem] = [*arguments.also, *short]
        commands = {
            name: [sys.executable, "-m", "anchorloc.train", *words, "--out", str(folder / str(place))]
            for place, (name, words) in enumerate(runs.items())
        }
        photographs(folder / "photos", arguments.names)
        again = [
            sys.executable,
            "-m",
            "benchmarks.memory",
            "--load",
            str(folder / "photos"),
            "--read",
            str(arguments.read),
        ]
        commands[f"{arguments.read:,} reads of {arguments.names:,} names of {PHOTOS} photographs"] = again
        for name, command in commands.items():
            peak, seconds, whole = peak_of(command)
            rows.append(
                {
                    "what": name,
                    "peak, MiB": f"{peak / 2**20:,.0f}",
                    "after, s": significant(seconds),
                    "of, s": significant(whole),
                }
            )
            print(rows[-1], flush=True)
    write_table(rows, "memory", ("torch",), record=arguments.record)


def photographs(folder: Path, names: int) -> None:
    """Write photographs with one box each, and a COCO file that lists them under many names."""
    (folder / "images").mkdir(parents=True)
    random = np.random.default_rng(0)
    for place in range(PHOTOS):
        coarse = random.integers(0, 256, (HEIGHT // 50, WIDTH // 50, 3), np.uint8)
        Image.fromarray(coarse).resize((WIDTH, HEIGHT)).save(folder / f"{place}.jpg", quality=90)
    images, annotations = [], []
    for number in range(1, names + 1):
        (folder / "images" / f"{number}.jpg").symlink_to(folder / f"{number % PHOTOS}.jpg")
        images.append({"id": number, "file_name": f"images/{number}.jpg", "width": WIDTH, "height": HEIGHT})
        ids = {"id": number, "image_id": number, "category_id": 1}
        annotations.append(ids | {"bbox": [100, 100, 800, 600], "area": 480_000, "iscrowd": 0})
    document = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "thing"}]}
    (folder / "train.json").write_text(json.dumps(document))


def load(folder: Path, number: int) -> None:
    """Read images as a training does."""
    data = f"data={{kind: CocoData, root: {folder}, train: train.json, val: train.json, images: .}}"
    config = read_config(None, [data, *SETTINGS])
    source = config.data.open("train")
    seen = 0
    for batch in batches(train_loader(config, source, 0)):
        seen += len(batch.samples)
        if seen >= number:
            return


def peak_of(command: Sequence[str]) -> tuple[int, float, float]:
    """Run a command; return its greatest memory in bytes, when it came, and the seconds of the whole."""
    start, peak, moment = time.perf_counter(), 0, 0.0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            used = sum(map(proportional, family(process.pid)))
            if used > peak:
                peak, moment = used, time.perf_counter() - start
            time.sleep(0.25)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with status {process.returncode}")
    return peak, moment, time.perf_counter() - start


def family(root: int) -> list[int]:
    """Return a process and its descendants."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:  # it has ended
                continue
            parents.setdefault(parent, []).append(int(entry.name))
    found = [root]
    for process in found:
        found.extend(parents.get(process, []))
    return found


def proportional(process: int) -> int:
    """Return the proportional set size of a process in bytes; 0 if it has ended."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


if __name__ == "__main__":
    main()
