"""Score a trained model, or the detections of any tool, by COCO's protocol, and write a report.

    python -m anchorloc.evaluate runs/NAME/best.pt [key=value ...]
    python -m anchorloc.evaluate configs/NAME.yaml detector.weights=FILE [key=value ...]
    python -m anchorloc.evaluate --detections results.json --annotations instances_val.json --images images

A checkpoint is scored on the val split of its own config; overrides such as data.root=DIR or decode.nms_iou=0.5
change that. A config is judged with the weights that it names. Detections are read in COCO's result format.
docs/report.md tells how to read the report.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from anchorloc.cli import run_command
from anchorloc.data import Annotations, CocoSource, Source, read_annotations, read_results, readable
from anchorloc.data.images import MAX_PIXELS
from anchorloc.engine.analyzing import RESAMPLES, THREADS, analyze_split
from anchorloc.errors import InputError
from anchorloc.metrics import Evaluation, Localization, evaluate
from anchorloc.metrics.analysis import Analysis, AnalysisOptions
from anchorloc.report import Picture, best_and_worst, print_evaluation, write_report
from anchorloc.report.localization import print_localization, write_localization
from anchorloc.text import counted, printable


@dataclass(frozen=True, eq=False)
class Judgement:
    """What a report is made from."""

    title: str
    evaluation: Evaluation
    pictures: list[Picture]
    facts: dict[str, object]
    warnings: list[str]
    analysis: Analysis
    names: list[str]  # of the image files
    localization: Localization | None = None
    broken: Sequence[str] = ()  # a sentence on each image that could not be read and is in no number


def main(argv: Sequence[str] | None = None) -> int:
    """Print the numbers and write the report, as a page, Markdown, JSON and CSV, into a new folder."""
    arguments = _parser().parse_intermixed_args(argv)
    folder = arguments.out or Path("runs") / f"evaluate-{datetime.now():%Y%m%d-%H%M%S}"
    if folder.exists():
        raise InputError(f"{folder} exists already; give another --out")
    judgement = _judge(arguments)
    page = _write(folder, judgement)
    for warning in judgement.warnings:
        print(f"warning: {printable(warning)}", file=sys.stderr)
    print_evaluation(judgement.evaluation, judgement.analysis.bootstrap)
    if judgement.localization is not None:
        write_localization(folder, judgement.localization)
        print_localization(judgement.localization)
    print(f"report: {printable(str(page))}")
    for sentence in judgement.broken:
        print(f"error: {printable(sentence)}", file=sys.stderr)
    return 1 if judgement.broken else 0


def _judge(arguments: argparse.Namespace) -> Judgement:
    files = (arguments.detections, arguments.annotations)
    options = AnalysisOptions(arguments.precision, resamples=arguments.resamples, seed=arguments.seed, threads=THREADS)
    if arguments.checkpoint is not None:
        if any(files) or arguments.images:
            raise InputError("give a checkpoint, or --detections with --annotations, not both")
        if arguments.max_detections is not None:
            raise InputError("--max-detections is for --detections; with a checkpoint give decode.max_detections=N")
        return judge_checkpoint(arguments.checkpoint, arguments.overrides, options)
    if not all(files):
        raise InputError("give a checkpoint, or --detections JSON and --annotations JSON; see --help")
    return judge_files(*files, arguments.images, arguments.max_detections or 100, options)


def judge_checkpoint(checkpoint: Path, overrides: Sequence[str] = (), options: AnalysisOptions | None = None) -> Judgement:
    """Run a trained model over the val split of its config, as `overrides` change it, and score it.

    Images that cannot be read are left out, as long as there are others.

    Raises:
        InputError: the checkpoint, an override or the data cannot be used.
    """
    # torch takes seconds, and files alone do not need it
    from anchorloc.engine.evaluation import anchor_usage, model_facts, find, load_model
    from anchorloc.engine.localizing import localization_of, refuse_other_counts
    from anchorloc.engine.validation import score

    model = load_model(checkpoint, overrides)
    source: Source = model.config.data.open("val")
    refuse_other_counts(model.config, source, "val")
    warnings, broken = list(source.warnings), list[str]()
    try:
        warnings += source.check_images()
        detections, padded = find(model, source)
    except InputError:
        if source.categories != model.categories:
            raise
        source, broken = readable(source)
        if not broken or not len(source):
            raise
        warnings.append(f"left out of all numbers: {counted(len(broken), 'image')} that could not be read")
        detections, padded = find(model, source)
    evaluation = score(detections, source, model.config)
    usage = anchor_usage(model.config, detections, padded)
    analysis = analyze_split(source, detections, evaluation, replace(options or AnalysisOptions(), anchor_usage=usage))
    pictures, problems = best_and_worst(source, detections, evaluation, analysis)
    facts = {"checkpoint": checkpoint, **model_facts(model)}
    warnings = [*warnings, *_summary(problems)]
    found = localization_of(model.config, detections, source)
    title = f"{checkpoint}: validation"
    return Judgement(title, evaluation, pictures, facts, warnings, analysis, _names(source), found, broken)


def judge_files(
    detections: Path,
    annotations: Path,
    images: Path | None,
    max_detections: int = 100,
    options: AnalysisOptions | None = None,
) -> Judgement:
    """Score a COCO result file; with a folder of `images`, some become pictures.

    Raises:
        InputError: a file breaks the data policy, or the folder is missing.
    """
    truth = read_annotations(annotations)
    found = read_results(detections, truth)
    targets = [truth.target(index) for index in range(len(truth))]
    limits = [*(limit for limit in (1, 10) if limit < max_detections), max_detections]
    evaluation = evaluate(targets, found, truth.categories, limits)
    analysis = analyze_split(truth, found, evaluation, options or AnalysisOptions())
    pictures: list[Picture] = []
    problems: list[str] = []
    if images is not None:
        if not images.is_dir():
            raise InputError(f"the images folder {images} does not exist; check --images")
        source = CocoSource(**vars(truth), folder=images, max_pixels=MAX_PIXELS)
        pictures, problems = best_and_worst(source, found, evaluation, analysis)
    return Judgement(
        title=f"{detections.stem} on {annotations.stem}",
        evaluation=evaluation,
        pictures=pictures,
        facts={"detections": detections, "annotations": annotations, "pycocotools": version("pycocotools")},
        warnings=[*truth.warnings, *_summary(problems)],
        analysis=analysis,
        names=_names(truth),
    )


def _names(truth: Annotations) -> list[str]:
    return [truth.name(index) for index in range(len(truth))]


def _write(folder: Path, judgement: Judgement) -> Path:
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise InputError(f"the folder {folder} cannot be made: {error.strerror}; give another --out") from None
    return write_report(
        folder,
        judgement.evaluation,
        judgement.title,
        judgement.pictures,
        facts=judgement.facts,
        warnings=judgement.warnings,
        analysis=judgement.analysis,
        names=judgement.names,
    )


def _summary(problems: list[str]) -> list[str]:
    """One sentence for the images that could not be shown."""
    more = f" (and {len(problems) - 1} more such)" if len(problems) > 1 else ""
    return [f"not among the pictures: {problems[0]}{more}"] if problems else []


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m anchorloc.evaluate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("checkpoint", type=Path, nargs="?", help="best.pt or last.pt of a run, or a config")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings to change, with a checkpoint")
    parser.add_argument("--detections", type=Path, metavar="JSON", help="COCO results, from any tool")
    parser.add_argument("--annotations", type=Path, metavar="JSON", help="COCO annotations: the truth")
    parser.add_argument("--images", type=Path, metavar="DIR", help="folder of the images, for pictures in the report")
    parser.add_argument("--out", type=Path, metavar="DIR", help="new folder of the report (runs/evaluate-DATE-TIME)")
    parser.add_argument("--max-detections", type=_positive, metavar="N", help="that count, a class and image (100)")
    parser.add_argument(
        "--resamples", type=_count, default=RESAMPLES, metavar="N", help="of the intervals (1000); 0: none"
    )
    parser.add_argument("--seed", type=_count, default=0, metavar="N", help="of the resamples (0)")
    parser.add_argument("--precision", type=_share, metavar="P", help="that recommended thresholds keep (best F1)")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"need a whole number from 0, got {text!r}")
    return int(text)


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"need a number above 0 and up to 1, got {text!r}")
    return value


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"need a whole number from 1, got {text!r}")
    return int(text)


if __name__ == "__main__":
    sys.exit(run_command(main))
