"""Run a model over a data set and judge what it detects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from anchorloc.config import Config
from anchorloc.data import Source, Split, Subset, match_categories, refuse_other_counts
from anchorloc.data.class_names import Sides, match_all_names
from anchorloc.engine.batch_samplers import in_image_order
from anchorloc.engine.build import Loaded, validation_batches, validation_loader
from anchorloc.engine.inference import detect_batch
from anchorloc.engine.judge import judge_detections
from anchorloc.engine.system.failures import explained_failures
from anchorloc.engine.system.processes import SINGLE_PROCESS, Processes
from anchorloc.engine.trained_model import TrainedModel, load_model, model_facts
from anchorloc.engine.validation import localization_of, merge_shards, score_detections
from anchorloc.errors import InputError
from anchorloc.metrics import Evaluation
from anchorloc.metrics.analysis import AnalysisOptions, AnchorUsage
from anchorloc.report import Judgment
from anchorloc.structures import Detections, Size
from anchorloc.text import counted

CHECKPOINT_AND_DATA: tuple[Sides, str] = (
    ("the checkpoint", "the data"),
    "evaluate on data with the classes of the checkpoint",
)


def judge_checkpoint(
    checkpoint: Path,
    overrides: Sequence[str] = (),
    options: AnalysisOptions | None = None,
    split: Split = "val",
) -> Judgment:
    """Judge a trained model on a split of the data of its config, which `overrides` may change.

    Every image is decoded once. Images that cannot be read are left out, as long as there are others.

    Raises:
        InputError: the checkpoint, an override or the data cannot be used.
    """
    model = load_model(checkpoint, overrides)
    source: Source = match_categories(model.config.data.open(split), model.categories, *CHECKPOINT_AND_DATA)
    refuse_other_counts(model.config.task == "localization", source, split)
    warnings, refused = list[str](), list[InputError]()
    try:
        warnings += source.check_images()
    except InputError as error:
        refused.append(error)
    found, errors = _detect(model, source)
    if not found and (refused or errors):
        raise (refused or list(errors.values()))[0]
    unreadable = [str(error) for error in errors.values()]
    if unreadable:
        warnings.append(f"left out of all numbers: {counted(len(unreadable), 'unreadable image', 'unreadable images')}")
        source = Subset(source, np.array(list(found), np.int64))
    judgment = judge(model, source, _columns(found), options or AnalysisOptions())
    return replace(
        judgment,
        title=f"{checkpoint}: {'validation' if split == 'val' else split}",
        facts={"checkpoint": checkpoint, "scored on": _scored_on(checkpoint, overrides, split), **judgment.facts},
        warnings=[*source.warnings, *warnings, *judgment.warnings],
        unreadable=unreadable,
    )


def _scored_on(checkpoint: Path, overrides: Sequence[str], split: Split) -> str:
    """Return what a report says of the split: val of the run's own data has chosen its best.pt."""
    own_data = not any(word.startswith("data") for word in overrides)
    if split == "val" and own_data and checkpoint.name.startswith("best"):
        return "val, which chose the checkpoint: the numbers are somewhat too good"
    return split


def judge(
    model: TrainedModel,
    source: Source,
    found: tuple[Sequence[Detections], Sequence[Size]],
    options: AnalysisOptions,
    max_analyzed: int | None = None,
) -> Judgment:
    """Score and analyze what `detect` found; see `judge_detections` for `max_analyzed`."""
    detections, padded = found
    evaluation = score_detections(detections, source, model.config)
    options = replace(options, anchor_usage=anchor_usage(model.config, detections, padded))
    judgment = judge_detections(source, detections, evaluation, options, source, max_analyzed)
    return replace(judgment, localization=localization_of(model.config, detections, source), facts=model_facts(model))


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
    return _columns(found)


def _detect(
    model: TrainedModel, source: Source, processes: Processes = SINGLE_PROCESS
) -> tuple[dict[int, tuple[Detections, Size]], dict[int, InputError]]:
    """Return what `detect` does by image index, and the errors of the images that cannot be read."""
    if source.categories != model.categories:
        match_all_names(model.categories, source.categories, *CHECKPOINT_AND_DATA)
        raise InputError("the data has the classes under other ids than the checkpoint; use match_categories")
    order = validation_batches(model.config, source)
    mine: list[list[tuple[Detections, Size] | InputError]] = []
    with explained_failures(model.config, processes.count):
        for loaded in validation_loader(model.config, source, order, processes.shard):
            mine.append(_detect_loaded(model, loaded))
    gathered = merge_shards(processes.gather(mine))
    results = in_image_order(order, gathered) if gathered else []
    found = {index: one for index, one in enumerate(results) if not isinstance(one, InputError)}
    return found, {index: one for index, one in enumerate(results) if isinstance(one, InputError)}


def _detect_loaded(model: TrainedModel, loaded: Loaded) -> list[tuple[Detections, Size] | InputError]:
    """Return the detections of each image and its padded size, or the error of an image that cannot be read."""
    results: list[tuple[Detections, Size] | InputError] = []
    if loaded.batch is not None:
        found = detect_batch(model.network, loaded.batch, model.config, model.device)
        results += [(one, loaded.batch.size) for one in found]
    for place, error in loaded.errors.items():  # by ascending place
        results.insert(place, error)
    return results


def _columns(found: dict[int, tuple[Detections, Size]]) -> tuple[list[Detections], list[Size]]:
    return [one for one, _ in found.values()], [size for _, size in found.values()]


def anchor_usage(config: Config, detections: Sequence[Detections], padded: Sequence[Size]) -> AnchorUsage | None:
    """Return the level and the shape of the anchor of every detection; None without images or anchors."""
    if not config.method.has_anchors:
        return None
    grids = {size: config.anchors(size) for size in dict.fromkeys(padded)}
    if not grids:
        return None
    levels, shapes = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for detected, size in zip(detections, padded, strict=True):
        grid = grids[size]
        starts = np.cumsum([0, *map(len, grid.levels)])  # (levels + 1,) the first anchor of each level
        level = np.searchsorted(starts, detected.anchors, side="right") - 1
        counts = np.array([one.shapes for one in grid.levels])
        levels.append(level)
        shapes.append((detected.anchors - starts[level]) % counts[level])
    # (images, levels) the fraction of an image's anchors that each level has
    fractions = np.array([[len(level) / len(grids[size]) for level in grids[size].levels] for size in padded])
    first = next(iter(grids.values())).levels
    return AnchorUsage(
        level=np.concatenate(levels),
        shape=np.concatenate(shapes),
        strides=tuple(level.stride[0] for level in first),
        shapes=tuple(level.sizes for level in first),
        anchors=tuple(fractions.mean(axis=0).tolist()),
    )
