"""Run a model over a data set and judge what it detects."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from anchorloc.data import Source, Split
from anchorloc.data.class_names import match_all_names
from anchorloc.engine.batch_samplers import in_image_order
from anchorloc.engine.build import Loaded, validation_batches, validation_loader
from anchorloc.engine.inference import detect_batch
from anchorloc.engine.judge_model import (
    CHECKPOINT_AND_DATA,
    Found,
    Result,
    columns,
    found_in_images,
    judge_split,
    score_detections,
)
from anchorloc.engine.scoring_choices import DEFAULT_SCORING, Scoring
from anchorloc.engine.system.failures import explained_failures
from anchorloc.engine.system.processes import SINGLE_PROCESS, Processes
from anchorloc.engine.trained_model import TrainedModel, load_model
from anchorloc.engine.validation import merge_shards
from anchorloc.errors import InputError
from anchorloc.metrics import Evaluation
from anchorloc.metrics.analysis import AnalysisOptions
from anchorloc.report import Judgment
from anchorloc.structures import Detections, Size


def judge_checkpoint(
    checkpoint: Path,
    overrides: Sequence[str] = (),
    options: AnalysisOptions | None = None,
    split: Split = "val",
    scoring: Scoring = DEFAULT_SCORING,
) -> Judgment:
    """Judge a trained model on a split of the data of its config, which `overrides` may change.

    Raises:
        InputError: the checkpoint, an override or the data cannot be used.
    """
    model = load_model(checkpoint, overrides)
    detect_images = partial(_detect, model)
    return judge_split(model, detect_images, checkpoint, overrides, options or AnalysisOptions(), split, scoring)


def evaluate_model(model: TrainedModel, source: Source) -> tuple[Evaluation, list[Detections]]:
    """Return the scores of `model` on `source`, and its detections per image.

    Raises:
        InputError: the classes of the two differ.
    """
    detections, _ = detect(model, source)
    return score_detections(detections, source, model.config), detections


def detect(
    model: TrainedModel, source: Source, processes: Processes = SINGLE_PROCESS
) -> tuple[list[Detections], list[Size]]:
    """Return the detections of every image, and the size that each image was padded to.

    The `processes` share the batches; the first one gets all results in the order of the images, the others none.

    Raises:
        InputError: the classes of the two differ, or an image cannot be read.
    """
    found, errors = _detect(model, source, processes)
    for error in errors.values():
        raise error
    return columns(found)


def _detect(model: TrainedModel, source: Source, processes: Processes = SINGLE_PROCESS) -> Found:
    """Return what `detect` does by image index, and the errors of the images that cannot be read."""
    if source.categories != model.categories:
        match_all_names(model.categories, source.categories, *CHECKPOINT_AND_DATA)
        raise InputError("the data has the classes under other ids than the checkpoint; use match_categories")
    seen = model.config.seen(source)
    order = validation_batches(model.config, seen)
    mine: list[list[Result]] = []
    with explained_failures(model.config, processes.count):
        for loaded in validation_loader(model.config, seen, order, processes.shard, learns=False):
            mine.append(_detect_loaded(model, loaded))
    gathered = merge_shards(processes.gather(mine))
    results = in_image_order(order, gathered) if gathered else []
    return found_in_images(model.config, seen, dict(enumerate(results)))


def _detect_loaded(model: TrainedModel, loaded: Loaded) -> list[Result]:
    """Return what `detect_batch` does for each image and its padded size, or the error of one that cannot be read."""
    results: list[Result] = []
    if loaded.batch is not None:
        found = detect_batch(model.network, loaded.batch, model.config, model.device)
        results += [(one, loaded.batch.size) for one in found]
    for place, error in loaded.errors.items():  # by ascending place
        results.insert(place, error)
    return results
