"""Write the built-in shapes as a data set in COCO format, so that any tool can train on it.

    anchorloc shapes shapes --train-images 4000

A scene depends on its index, split, size and seed alone. `anchorloc train` draws the same scenes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from anchorloc.cli import command_parser, non_negative_int, positive_int, run_command
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
    parser = command_parser("shapes", __doc__)
    parser.add_argument("out", type=Path, metavar="OUT", help="output folder, new or empty")
    for name, read, value, meaning in (
        ("--train-images", positive_int, default.train_images, "number of training scenes"),
        ("--val-images", positive_int, default.val_images, "number of validation scenes"),
        ("--size", positive_int, default.size, "height and width of a scene in pixels"),
        ("--seed", non_negative_int, default.seed, "seed of the scenes"),
    ):
        parser.add_argument(name, type=read, default=value, metavar="N", help=f"{meaning} (default: {value})")
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
