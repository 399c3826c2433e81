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
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from anchorloc.cli import (
    add_allow_import,
    add_scoring_options,
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
from anchorloc.report_folder import ReportFolder, ReportPage
from anchorloc.startup import import_torch
from anchorloc.text import printable

if TYPE_CHECKING:
    from anchorloc.data import ImageSettings, Split
    from anchorloc.metrics import Protocol, Scorer
    from anchorloc.report import Judgment

__all__ = ["ReportFolder", "ReportPage", "run"]

SPLITS = ("train", "val", "test")
SCORERS = ("anchorloc", "pycocotools")
Number = TypeVar("Number", int, float)


def run(
    checkpoint: str | os.PathLike[str] | None = None,
    *overrides: str,
    split: str | None = None,
    detections: str | os.PathLike[str] | None = None,
    annotations: str | os.PathLike[str] | None = None,
    images: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    max_detections: int | None = None,
    resamples: int | None = None,
    seed: int = 0,
    precision: float | None = None,
    scorer: Scorer = "anchorloc",
    class_agnostic: bool = False,
    subset: str | os.PathLike[str] | None = None,
    iou_thresholds: Sequence[float] | None = None,
    size_borders: tuple[float, float] | None = None,
    group_by: str | None = None,
    group_by_name: str | None = None,
    allow_import: bool = False,
    verbose: bool = False,
) -> ReportFolder:
    """Score a trained model, or the `detections` of any tool, as `anchorloc evaluate` does, and write the report.

    Args:
        checkpoint: a run's folder or checkpoint, or a YAML config that names weights.
        overrides: settings as `key=value`, such as "decode.nms_iou=0.5".
        split: train, val or test of the checkpoint's data; val by default.
        detections: a file of COCO results, in place of a checkpoint.
        annotations: labels of any format with the ground truth of `detections`.
        images: folder of images to show in the report of `detections`.
        out: new folder for the report, runs/evaluate-DATE-TIME by default.
        max_detections: how many of the `detections` are scored per class and image, 100 by default.
        resamples: bootstrap resamples for the confidence intervals, 1000 by default; 0 disables them.
        seed: random seed of the resamples.
        precision: recommend the lowest score threshold that reaches it, in place of the threshold of best F1.
        scorer: "anchorloc", or "pycocotools" itself, which gives the same numbers in many times the time.
        class_agnostic: count all classes as one.
        subset: a file that lists images by name or id, or a slice such as "0:100"; all images by default.
        iou_thresholds: what AP and AR are means over, 0.50 to 0.95 in steps of 0.05 by default.
        size_borders: square roots of the areas between small, medium and large boxes, 32 and 96 px by default.
        group_by: draw images together, for the intervals, that have one value of this key of the COCO file.
        group_by_name: draw images together whose file names have the same text in the group of this pattern.
        allow_import: import the classes of your own that the settings name as `kind: package.module.Class`.
        verbose: print what the command prints.

    Raises:
        InputError: a file or an argument cannot be used; messages name arguments as the options of the command.
    """
    if split is not None and split not in SPLITS:
        raise InputError(f"split must be one of {', '.join(SPLITS)}, got {split!r}")
    if scorer not in SCORERS:
        raise InputError(f"scorer must be one of {', '.join(SCORERS)}, got {scorer!r}")
    if group_by is not None and group_by_name is not None:
        raise InputError("group_by and group_by_name both form groups; give one of them")
    arguments = argparse.Namespace(
        checkpoint=_path(checkpoint),
        overrides=overrides,
        split=split,
        detections=_path(detections),
        annotations=_path(annotations),
        images=_path(images),
        max_detections=_checked("max_detections", positive_int, max_detections),
        resamples=_checked("resamples", non_negative_int, resamples),
        seed=_checked("seed", non_negative_int, seed),
        precision=_checked("precision", positive_fraction, precision),
        scorer=scorer,
        class_agnostic=class_agnostic,
        subset=None if subset is None else os.fspath(subset),
        iou_thresholds=iou_thresholds,
        size_borders=size_borders,
        group_by=group_by,
        group_by_name=group_by_name,
    )
    from anchorloc.config import imports_allowed  # --help does not wait for it

    with imports_allowed(allow_import), new_folder(_path(out), "evaluate") as folder:
        _check(arguments, verbose)
        from rich.console import Console  # --help and a missing file do not wait for these

        from anchorloc.report import write_and_print_report

        judgment = _judge(arguments)
        if verbose:
            for warning in judgment.warnings:
                warn(warning)
        return write_and_print_report(folder, judgment, Console(highlight=False, quiet=not verbose))


def main(argv: Sequence[str] | None = None) -> int:
    """Print the numbers and write the report, as a page, Markdown, JSON and CSV, into a new folder."""
    arguments = vars(_parser().parse_intermixed_args(argv))
    from anchorloc.config import own_failures  # --help does not wait for it

    with own_failures():
        found = run(arguments.pop("checkpoint"), *arguments.pop("overrides"), **arguments, verbose=True)
    print(f"report: {printable(str(found.report))}")
    for sentence in found.unreadable:
        print(f"error: {printable(sentence)}", file=sys.stderr)
    return 1 if found.unreadable else 0


def _path(given: str | os.PathLike[str] | None) -> Path | None:
    return None if given is None else Path(given)


def _checked(name: str, read: Callable[[str], Number], value: Number | None) -> Number | None:
    """Return a number as the option of the command reads it.

    Raises:
        InputError: the option refuses it.
    """
    try:
        return None if value is None else read(str(value))
    except argparse.ArgumentTypeError as error:
        raise InputError(f"{name}: {error}") from None


def _protocol(ious: Sequence[float] | None, borders: tuple[float, float] | None) -> Protocol:
    """Return the thresholds and borders of the options.

    Raises:
        InputError: they are not ascending, or out of range.
    """
    from anchorloc.metrics.protocol import COCO, Protocol  # --help does not wait for it

    try:
        low, high = COCO.size_borders if borders is None else map(float, borders)
        return Protocol(COCO.ious if ious is None else tuple(map(float, ious)), (low, high))
    except (TypeError, ValueError) as error:
        raise InputError(f"{error}; correct --iou-thresholds or --size-borders") from None


def _check(arguments: argparse.Namespace, verbose: bool) -> None:
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
            raise InputError("give a checkpoint (other labels: data=PATH) or --detections with --annotations, not both")
        if arguments.group_by is not None:
            raise InputError("--group-by needs --annotations with a COCO file; for a checkpoint give --group-by-name")
        if arguments.max_detections is not None:
            raise InputError("--max-detections needs --detections; for a checkpoint set decode.max_detections=N")
        from anchorloc.engine.state.run_folder import find_checkpoint  # --help does not wait for these
        from anchorloc.engine.state.saved_settings import refuse_overrides

        arguments.checkpoint = find_checkpoint(arguments.checkpoint, print if verbose else None)
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
    from anchorloc.engine.scoring_choices import Scoring
    from anchorloc.metrics.analysis import AnalysisOptions

    chosen = ("class_agnostic", "subset", "group_by", "group_by_name", "scorer")
    protocol = _protocol(arguments.iou_thresholds, arguments.size_borders)
    scoring = Scoring(**{name: getattr(arguments, name) for name in chosen}, protocol=protocol)
    resamples = RESAMPLES if arguments.resamples is None else arguments.resamples
    options = AnalysisOptions(arguments.precision, resamples=resamples, seed=arguments.seed, threads=THREADS)
    if arguments.detections is not None:
        limit, files = arguments.max_detections or 100, (arguments.detections, arguments.annotations, arguments.images)
        return judge_files(*files, limit, options, _reading(arguments), scoring)
    given = arguments.checkpoint, arguments.overrides, options
    split: Split = arguments.split or "val"
    if arguments.checkpoint.suffix.lower() == ".onnx":
        from anchorloc.engine.judge_model import judge_onnx

        return judge_onnx(*given, split, scoring)
    import_torch()
    from anchorloc.engine.evaluation import judge_checkpoint

    return judge_checkpoint(*given, split, scoring)


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
    parser.add_argument("--split", choices=SPLITS, help="split of the data of a checkpoint to score on (default: val)")
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
    parser.add_argument(
        "--scorer",
        choices=SCORERS,
        default="anchorloc",
        help="what computes COCO's numbers; tests hold the two equal, pycocotools is slower (default: anchorloc)",
    )
    add_scoring_options(parser)
    add_allow_import(parser)
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
