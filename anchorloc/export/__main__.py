"""Write a trained model for other runtimes, and check that it finds the same as here.

    python -m anchorloc.export runs/NAME/best.pt model.onnx [--images DIR] [key=value ...]
    python -m anchorloc.export runs/NAME/best.pt model.pt2

An .onnx file takes images (B, 3, H, W) and gives boxes, scores, labels and counts, with decoding and suppression
inside. A .pt2 file (torch.export) ends at logits and offsets. Both take any number of images B of one size.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from anchorloc.cli import run_command
from anchorloc.errors import InputError
from anchorloc.text import printable


def main(argv: Sequence[str] | None = None) -> int:
    """Write the file, if it passes the check, and print what the check measured."""
    arguments = _parser().parse_intermixed_args(argv)
    if arguments.out.suffix not in (".onnx", ".pt2"):
        raise InputError(f"{arguments.out} ends neither in .onnx nor in .pt2; the ending tells the format")
    if arguments.out.exists():
        raise InputError(f"{arguments.out} exists already; give another name")

    from anchorloc.export.model_file import export  # torch takes seconds; the checks above do not need it

    size = None if arguments.size is None else tuple(arguments.size)
    agreement, used = export(arguments.checkpoint, arguments.out, arguments.images, size, arguments.overrides)
    print(agreement)
    print(f"for images of {used[0]} x {used[1]} px (height x width): {printable(str(arguments.out))}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m anchorloc.export",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("checkpoint", type=Path, help="best.pt or last.pt of a run, or a config with detector.weights")
    parser.add_argument("out", type=Path, metavar="FILE", help="new file, .onnx or .pt2")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings to change")
    parser.add_argument("--images", type=Path, metavar="DIR", help="images of the check (the val split of the config)")
    parser.add_argument(
        "--size", type=int, nargs=2, metavar=("H", "W"), help="of the images that the file takes (of the first image)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
