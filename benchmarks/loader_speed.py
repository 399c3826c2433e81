"""Measure the work of a loader's worker on photographs, in CPU time of one thread.

    python -m benchmarks.loader_speed path/to/coco128     # under a minute; annotations/instances_*_permissive.json

The images are read, decoded, shrunk and augmented as in configs/coco.yaml, at its size and at 320 px; the same again
from the image cache; and made into batches, which pads, copies and assigns.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import torch

from anchorloc.config import read_config
from anchorloc.data import Samples
from benchmarks.timing import recording_parser, significant, write_table

CONFIG = Path(__file__).resolve().parents[1] / "configs" / "coco.yaml"
SIZES = {"800 px": (800, 1333), "320 px": (320, 534)}
EPOCHS = 3  # timed epochs, after one that warms up and fills the cache


def main(argv: Sequence[str] | None = None) -> None:
    """Time all three at both sizes, and write the table."""
    parser = recording_parser(__doc__)
    parser.add_argument("data", type=Path, help="folder in COCO format")
    parser.add_argument("--train", default="annotations/instances_train_permissive.json", help="its train annotations")
    arguments = parser.parse_args(argv)
    torch.set_num_threads(1)
    columns = {name: measure(arguments.data, arguments.train, *sides) for name, sides in SIZES.items()}
    works = next(iter(columns.values()))
    write_table(
        [{"work": work, **{name: significant(columns[name][work]) for name in SIZES}} for work in works],
        "loader_speed",
        ("torch", "pillow"),
        record=arguments.record,
    )


def measure(data: Path, train: str, size: int, max_size: int) -> dict[str, float]:
    """Return the images per second of each task, at one size."""
    words = [f"data.root={data}", f"data.train={train}", "data.images=images"]
    words += [f"transform.resize={{kind: ShortestSide, size: {size}, max_size: {max_size}}}"]
    config = read_config(CONFIG, words)
    source = config.data.open("train")
    count = len(source)

    def seconds(samples: Samples) -> float:
        for index in range(count):
            _ = samples[0, index]
        start = time.process_time()
        for epoch in range(1, 1 + EPOCHS):
            for index in range(count):
                _ = samples[epoch, index]
        return (time.process_time() - start) / EPOCHS

    batch = [Samples(source, config.transform)[0, index] for index in range(count)]
    collate = config.method.collate()
    collate(batch)
    start = time.process_time()
    for _ in range(EPOCHS):
        collate(batch)
    collated = (time.process_time() - start) / EPOCHS
    return {
        "read, decode, shrink, augment: images/s": count / seconds(Samples(source, config.transform)),
        "the same from the image cache: images/s": count / seconds(Samples(source, config.transform, 0, True, 1 << 30)),
        "pad, copy and assign: ms an image": 1e3 * collated / count,
    }


if __name__ == "__main__":
    main()
