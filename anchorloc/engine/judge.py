"""Judge detections against ground truth; nothing here loads torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import numpy as np

from anchorloc import __version__
from anchorloc.data import Annotations, CocoSource, Source, read_results, read_truth
from anchorloc.data.image_settings import DEFAULT_SETTINGS, ImageSettings
from anchorloc.data.result_warnings import result_warnings
from anchorloc.engine.scoring_choices import DEFAULT_SCORING, Scoring
from anchorloc.errors import InputError
from anchorloc.metrics import Evaluation, Scorer, evaluate
from anchorloc.metrics.analysis import AnalysisOptions, analyze
from anchorloc.report import Judgment, Picture, best_and_worst, pick_pictures, unshown_images
from anchorloc.startup import allowed_cores
from anchorloc.structures import Detections

RESAMPLES = 1000  # bootstrap resamples
THREADS = min(2, allowed_cores())


def judge_files(
    detections: Path,
    annotations: Path,
    images: Path | None = None,
    max_detections: int = 100,
    options: AnalysisOptions | None = None,
    reading: ImageSettings = DEFAULT_SETTINGS,
    scoring: Scoring = DEFAULT_SCORING,
) -> Judgment:
    """Judge a file of COCO results; with a folder of `images`, the report shows some, read by `reading`.

    Raises:
        InputError: a file breaks the data policy, or the folder is missing.
    """
    truth = read_truth(annotations)
    notes: list[str] = []
    found = read_results(detections, truth, notes)
    notes += result_warnings(found, truth)
    indices = scoring.indices(truth)
    scored, found = (
        scoring.annotations(truth, indices),
        scoring.detections([found[index] for index in indices.tolist()]),
    )
    targets = [scored.target(index) for index in range(len(scored))]
    limits = [*(limit for limit in (1, 10) if limit < max_detections), max_detections]
    evaluation = evaluate(targets, found, scored.categories, limits, scorer=scoring.scorer, protocol=scoring.protocol)
    groups = scoring.groups(annotations, truth, indices)
    options = replace(options or AnalysisOptions(), protocol=scoring.protocol, groups=groups)
    source = None
    if images is not None:
        if not images.is_dir():
            raise InputError(f"the image folder {images} does not exist; correct --images")
        source = scoring.source(CocoSource(**vars(truth), folder=images, reading=reading), indices)
    judgment = judge_detections(scored, found, evaluation, options, source)
    return replace(
        judgment,
        title=f"{detections.stem} on {annotations.stem}",
        facts={
            "detections": detections,
            "annotations": annotations,
            **scoring.facts(evaluation, groups),
            "scorer": scorer_version(scoring.scorer),
        },
        scoring=scoring.described(evaluation, groups),
        warnings=[*truth.warnings, *notes, *judgment.warnings],
    )


def scorer_version(scorer: Scorer) -> str:
    """Return what computed COCO's numbers, for the facts of a report."""
    if scorer == "pycocotools":
        return f"pycocotools {metadata.version(scorer)}"
    return f"anchorloc {__version__}, equal to pycocotools"


def judge_detections(
    truth: Annotations,
    detections: Sequence[Detections],
    evaluation: Evaluation,
    options: AnalysisOptions,
    images: Source | None,
    max_analyzed: int | None = None,
) -> Judgment:
    """Analyze the detections that `evaluation` scored, and pick pictures from `images`.

    The caller adds a title, facts and the warnings of `truth`. With more than `max_analyzed` detections the slow
    analysis is left out.
    """
    analysis = None
    if max_analyzed is None or evaluation.detections <= max_analyzed:
        sizes = np.array([truth.size(index) for index in range(len(truth))], np.int64).reshape(-1, 2)
        targets = [truth.target(index) for index in range(len(truth))]
        limits = evaluation.summary.max_detections
        analysis = analyze(targets, detections, truth.categories, limits, replace(options, sizes=sizes))
    pictures: list[Picture] = []
    problems: list[str] = []
    if images is not None and analysis is not None:
        pictures, problems = best_and_worst(images, detections, evaluation, analysis)
    elif images is not None:
        pictures, problems = pick_pictures(images, detections, evaluation)
    return Judgment(
        title="",
        evaluation=evaluation,
        analysis=analysis,
        pictures=pictures,
        warnings=unshown_images(problems),
        names=[truth.name(index) for index in range(len(truth))],
    )
