"""Export a trained model for other runtimes, and check that the file finds the same objects.

    anchorloc export runs/NAME/best.pt model.onnx
    anchorloc export runs/NAME/best.pt model.pt2

An .onnx file maps images (B, 3, H, W) to boxes, scores, labels and counts; decoding and NMS are part of the graph.
`anchorloc predict` and `evaluate` take it without torch. A .pt2 file (torch.export) returns logits and box offsets.
Both accept any batch size and any height and width that are multiples of the coarsest stride. Their metadata hold
class names, how images are resized, and the score threshold.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from anchorloc.cli import add_allow_import, command_parser, run_command
from anchorloc.errors import InputError
from anchorloc.files import refuse_existing
from anchorloc.startup import import_torch
from anchorloc.text import printable


def main(argv: Sequence[str] | None = None) -> int:
    """Write the file if it passes the check, and print the result of the check."""
    arguments = _parser().parse_intermixed_args(argv)
    if arguments.out.suffix not in (".onnx", ".pt2"):
        raise InputError(f"{arguments.out} must end in .onnx or .pt2, which selects the format")
    refuse_existing(arguments.out, "FILE")
    from anchorloc.engine.state.run_folder import find_checkpoint  # --help does not wait for these

    checkpoint = find_checkpoint(arguments.checkpoint, print)
    if arguments.images is not None:
        from anchorloc.predict.image_input import find_images

        find_images([arguments.images])
    from anchorloc.engine.state.saved_settings import INFERENCE, refuse_overrides

    reads = INFERENCE if arguments.images is not None else (*INFERENCE, "data")
    refuse_overrides(checkpoint, arguments.overrides, reads)
    import_torch()
    from anchorloc.config import imports_allowed, own_failures
    from anchorloc.export.model_file import export_model

    size = None if arguments.size is None else tuple(arguments.size)
    with imports_allowed(arguments.allow_import), own_failures():
        agreement, used = export_model(checkpoint, arguments.out, arguments.images, size, arguments.overrides)
    print(agreement)
    images = "images of any size" if used is None else f"images of {used[0]} x {used[1]} px (height x width)"
    print(f"for {images}: {printable(str(arguments.out))}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = command_parser("export", __doc__)
    parser.add_argument("checkpoint", type=Path, help="a run's folder or checkpoint, or a config with detector.weights")
    parser.add_argument("out", type=Path, metavar="FILE", help="new file that ends in .onnx or .pt2")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="override a setting, e.g. decode.nms_iou=0.5")
    parser.add_argument(
        "--images",
        type=Path,
        metavar="DIR",
        help="folder of images to check the file on (default: the val split of the config)",
    )
    parser.add_argument(
        "--size",
        type=int,
        nargs=2,
        metavar=("H", "W"),
        help="take images of this padded height and width alone, for runtimes that need a fixed size (default: any "
        "size, or the size of the first image with anchors of SSD or your own)",
    )
    add_allow_import(parser)
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
