"""Score a trained model, or the detections of any tool, with COCO's metrics, and write a report.

    anchorloc evaluate runs/NAME/best.pt [key=value ...]
    anchorloc evaluate model.onnx [key=value ...]
    anchorloc evaluate configs/NAME.yaml detector.weights=FILE
    anchorloc evaluate --detections results.json --annotations val.json

A checkpoint is scored on the val split of its own config, or on another --split. Overrides such as data.root=DIR or
decode.nms_iou=0.5 change that config. A config (YAML) is scored with the weights that it names. Detections are read
in COCO's result format; with --images, data.max_pixels, data.window, data.bands and data.orientation change how
images are read. docs/report.md explains the report.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from anchorloc.cli import (
    command_parser,
    non_negative_int,
    positive_fraction,
    positive_int,
    run_command,
    split_words,
    warn,
)
from anchorloc.errors import InputError
from anchorloc.files import new_folder, refuse_missing
from anchorloc.startup import import_torch
from anchorloc.text import printable

if TYPE_CHECKING:
    from anchorloc.data import ImageSettings, Split
    from anchorloc.report import Judgment


def main(argv: Sequence[str] | None = None) -> int:
    """Print the numbers and write the report, as a page, Markdown, JSON and CSV, into a new folder."""
    arguments = _parser().parse_intermixed_args(argv)
    with new_folder(arguments.out, "evaluate") as folder:
        _check(arguments)
        from rich.console import Console  # --help and a missing file do not wait for these

        from anchorloc.report import write_and_print_report

        judgment = _judge(arguments)
        for warning in judgment.warnings:
            warn(warning)
        page = write_and_print_report(folder, judgment, Console(highlight=False))
    print(f"report: {printable(str(page))}")
    for sentence in judgment.unreadable:
        print(f"error: {printable(sentence)}", file=sys.stderr)
    return 1 if judgment.unreadable else 0


def _check(arguments: argparse.Namespace) -> None:
    """Refuse options that contradict each other and files that are missing, before the work."""
    files = (arguments.detections, arguments.annotations)
    words = [] if arguments.checkpoint is None else [str(arguments.checkpoint), *arguments.overrides]
    paths, overrides = split_words(words)
    if any(files) and overrides and not paths:
        if arguments.images is None:
            raise InputError(f"overrides do not apply to --detections; remove {' '.join(overrides)}")
        _reading(arguments)
    elif arguments.checkpoint is not None:
        if any(files) or arguments.images:
            raise InputError("give a checkpoint, or --detections with --annotations, not both")
        if arguments.max_detections is not None:
            raise InputError("--max-detections needs --detections; for a checkpoint set decode.max_detections=N")
        from anchorloc.engine.state.run_folder import find_checkpoint  # --help does not wait for these
        from anchorloc.engine.state.saved_settings import refuse_overrides

        arguments.checkpoint = find_checkpoint(arguments.checkpoint, print)
        refuse_overrides(arguments.checkpoint, arguments.overrides)
        return
    if arguments.split is not None:
        raise InputError("--split needs a checkpoint; --annotations says what detections are scored on")
    if not all(files):
        raise InputError("give a checkpoint, or --detections JSON and --annotations PATH; see --help")
    refuse_missing(arguments.detections)
    if not arguments.annotations.is_dir():
        refuse_missing(arguments.annotations)


def _reading(arguments: argparse.Namespace) -> ImageSettings:
    """Return how --images are read; argparse takes the first override for a checkpoint."""
    from anchorloc.config import read_image_settings  # --help does not wait for it

    first = [] if arguments.checkpoint is None else [str(arguments.checkpoint)]
    return read_image_settings([*first, *arguments.overrides])


def _judge(arguments: argparse.Namespace) -> Judgment:
    from anchorloc.engine.judge import RESAMPLES, THREADS, judge_files
    from anchorloc.metrics.analysis import AnalysisOptions

    resamples = RESAMPLES if arguments.resamples is None else arguments.resamples
    options = AnalysisOptions(arguments.precision, resamples=resamples, seed=arguments.seed, threads=THREADS)
    if arguments.detections is not None:
        limit = arguments.max_detections or 100
        truth = arguments.annotations
        return judge_files(arguments.detections, truth, arguments.images, limit, options, _reading(arguments))
    given = arguments.checkpoint, arguments.overrides, options
    split: Split = arguments.split or "val"
    if arguments.checkpoint.suffix == ".onnx":
        from anchorloc.engine.judge_model import judge_onnx

        return judge_onnx(*given, split)
    import_torch()
    from anchorloc.engine.evaluation import judge_checkpoint

    return judge_checkpoint(*given, split)


def _parser() -> argparse.ArgumentParser:
    parser = command_parser("evaluate", __doc__)
    parser.add_argument(
        "checkpoint", type=Path, nargs="?", help="a run's folder or checkpoint, an .onnx file, or a config (YAML)"
    )
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="key=value",
        help="override a setting of the checkpoint, e.g. decode.nms_iou=0.5",
    )
    parser.add_argument(
        "--split", choices=("train", "val", "test"), help="split of the data of a checkpoint to score on (default: val)"
    )
    parser.add_argument("--detections", type=Path, metavar="JSON", help="score this file of COCO results")
    parser.add_argument("--annotations", type=Path, metavar="PATH", help="labels with the ground truth, in any format")
    parser.add_argument("--images", type=Path, metavar="DIR", help="show images from this folder in the report")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="new folder for the report (default: runs/evaluate-DATE-TIME)"
    )
    parser.add_argument(
        "--max-detections",
        type=positive_int,
        metavar="N",
        help="score at most N detections per class and image (default: 100)",
    )
    parser.add_argument(
        "--resamples",
        type=non_negative_int,
        metavar="N",
        help="bootstrap resamples for the confidence intervals; 0 disables them (default: 1000)",
    )
    parser.add_argument(
        "--seed", type=non_negative_int, default=0, metavar="N", help="random seed of the resamples (default: 0)"
    )
    parser.add_argument(
        "--precision",
        type=positive_fraction,
        metavar="P",
        help="recommend the lowest score threshold that reaches precision P (default: the threshold of best F1)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
