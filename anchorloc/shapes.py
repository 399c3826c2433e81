"""Write the scenes of the built-in shapes as a data set in COCO format, so that any tool can be trained on them.

    python -m anchorloc.shapes shapes --train-images 4000

A scene depends on its number, split, size and seed alone: it is the same one that `python -m anchorloc.train` draws.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from anchorloc.cli import run_command
from anchorloc.data.coco_export import write_coco
from anchorloc.data.shapes import ShapesData
from anchorloc.text import printable


def main(argv: Sequence[str] | None = None) -> int:
    """Write images/, annotations/instances_train.json and annotations/instances_val.json."""
    arguments = _parser().parse_args(argv)
    data = ShapesData(arguments.train_images, arguments.val_images, arguments.size, arguments.seed)
    write_coco({"train": data.open("train"), "val": data.open("val")}, arguments.out)
    print(f"{data.train_images} train and {data.val_images} val scenes: {printable(str(arguments.out))}")
    return 0


def _parser() -> argparse.ArgumentParser:
    default = ShapesData()
    parser = argparse.ArgumentParser(
        prog="python -m anchorloc.shapes",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="a new or empty folder")
    for name, value, meaning in (
        ("--train-images", default.train_images, "scenes to train on"),
        ("--val-images", default.val_images, "scenes to validate on"),
        ("--size", default.size, "pixels of both sides of a scene"),
        ("--seed", default.seed, "another seed gives other scenes"),
    ):
        parser.add_argument(name, type=int, default=value, metavar="N", help=f"{meaning} ({value})")
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
