"""Export a trained model for other runtimes, and check that the file finds the same objects.

    anchorloc export runs/NAME/best.pt model.onnx
    anchorloc export runs/NAME/best.pt model.onnx --int8
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
from typing import TYPE_CHECKING

from anchorloc.cli import add_allow_import, command_parser, fraction, positive_fraction, run_command
from anchorloc.errors import InputError
from anchorloc.export import MAX_LOSS
from anchorloc.files import refuse_existing
from anchorloc.startup import import_torch
from anchorloc.text import printable

if TYPE_CHECKING:
    from anchorloc.export.reduced_precision import NetworkType


def main(argv: Sequence[str] | None = None) -> int:
    """Write the file if it passes the check, and print the result of the check."""
    arguments = parser().parse_intermixed_args(argv)
    if arguments.out.suffix not in (".onnx", ".pt2"):
        raise InputError(f"{arguments.out} must end in .onnx or .pt2, which selects the format")
    refuse_existing(arguments.out, "FILE")
    if not arguments.out.parent.is_dir():
        raise InputError(f"the folder {arguments.out.parent} does not exist; make it, or give another FILE")
    network: NetworkType = "float16" if arguments.half else "int8" if arguments.int8 else "float32"
    if network != "float32" and arguments.out.suffix != ".onnx":
        raise InputError(f"{arguments.out} must end in .onnx with --half or --int8")
    if arguments.max_loss is not None and network == "float32":
        raise InputError("--max-loss needs --half or --int8")
    from anchorloc.engine.state.run_folder import find_checkpoint  # --help does not wait for these

    checkpoint = find_checkpoint(arguments.checkpoint, print)
    if arguments.images is not None:
        from anchorloc.predict.image_input import find_images

        find_images([arguments.images])
    from anchorloc.engine.state.saved_settings import INFERENCE, refuse_overrides

    uses_val = arguments.images is None or network != "float32" or arguments.precision is not None
    reads = (*INFERENCE, "data") if uses_val else INFERENCE
    refuse_overrides(checkpoint, arguments.overrides, reads)
    import_torch()
    from anchorloc.config import imports_allowed, own_failures
    from anchorloc.export.model_file import export_model

    size = None if arguments.size is None else tuple(arguments.size)
    with imports_allowed(arguments.allow_import), own_failures():
        exported = export_model(
            checkpoint,
            arguments.out,
            arguments.images,
            size,
            arguments.overrides,
            network=network,
            max_loss=MAX_LOSS if arguments.max_loss is None else arguments.max_loss,
            precision=arguments.precision,
        )
    print(exported.agreement)
    if exported.reduction is not None:
        print(exported.reduction)
    if exported.threshold is not None:
        print(f"score threshold: {exported.threshold}")
    used = exported.size
    images = "images of any size" if used is None else f"images of {used[0]} x {used[1]} px (height x width)"
    print(f"for {images}: {printable(str(arguments.out))}")
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
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
        "size, or the size of the first image with anchors of SSD or your own, or a localizer)",
    )
    shorter = parser.add_mutually_exclusive_group()
    shorter.add_argument("--half", action="store_true", help="store the network in float16; needs val labels")
    shorter.add_argument(
        "--int8",
        action="store_true",
        help="quantize the network to 8 bits, calibrated on val; needs val labels",
    )
    parser.add_argument(
        "--max-loss",
        type=fraction,
        metavar="AP",
        help=f"write no --half or --int8 file that loses more AP on val than this (default: {MAX_LOSS})",
    )
    parser.add_argument(
        "--precision",
        type=positive_fraction,
        metavar="P",
        help="keep the lowest score threshold that reaches precision P on val (default: the threshold of the "
        "checkpoint)",
    )
    add_allow_import(parser)
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
