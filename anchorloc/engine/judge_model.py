"""Judge a model on a split of its data, whatever runs the network; nothing here loads torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from anchorloc.config import Config
from anchorloc.config.unimported import UnimportedPart
from anchorloc.data import Source, Split, Subset, match_categories, refuse_other_counts
from anchorloc.data.class_names import Sides
from anchorloc.data.one_class import OneClass
from anchorloc.data.tiles import TiledSource
from anchorloc.engine.judge import judge_detections, scorer_version
from anchorloc.engine.onnx_model import OnnxModel, load_onnx
from anchorloc.engine.scoring_choices import DEFAULT_SCORING, Scoring
from anchorloc.engine.tiling import whole_images
from anchorloc.errors import InputError
from anchorloc.metrics import Evaluation, Localization, evaluate, localize
from anchorloc.metrics.analysis import AnalysisOptions, AnchorUsage
from anchorloc.report import Judgment
from anchorloc.report.localization import localization_warning
from anchorloc.structures import Detections, Size
from anchorloc.text import counted

if TYPE_CHECKING:
    from anchorloc.engine.trained_model import TrainedModel

CHECKPOINT_AND_DATA: tuple[Sides, str] = (
    ("the checkpoint", "the data"),
    "evaluate on data with the classes of the checkpoint",
)
# By image index: the detections and the size with padding of an image, and the error of an image that cannot be read.
Found = tuple[dict[int, tuple[Detections, Size]], dict[int, InputError]]
Result = tuple[Detections, Size] | InputError  # one image or tile


def judge_split(
    model: TrainedModel | OnnxModel,
    detect: Callable[[Source], Found],
    path: Path,
    overrides: Sequence[str],
    options: AnalysisOptions,
    split: Split,
    scoring: Scoring,
) -> Judgment:
    """Judge a model on a split of the data of its config.

    Every image is decoded once. Images that cannot be read are left out, as long as there are others.

    Args:
        model: the model.
        detect: runs it on all images.
        path: its file.
        overrides: the changes to its config.
        options: what to analyze.
        split: the split.
        scoring: what counts, and how.

    Raises:
        InputError: the data cannot be used.
    """
    opened = model.config.data.open(split)
    whole = opened.whole if isinstance(opened, TiledSource) else opened
    source: Source = match_categories(whole, model.categories, *CHECKPOINT_AND_DATA)
    refuse_other_counts(model.config.task == "localization", source, split)
    warnings, refused = list[str](), list[InputError]()
    if scoring.subset is not None:
        source = Subset(source, scoring.indices(source))
    try:
        warnings += source.check_images()
    except InputError as error:
        refused.append(error)
    found, errors = detect(source)
    if not found and (refused or errors):
        raise (refused or list(errors.values()))[0]
    unreadable = [str(error) for error in errors.values()]
    if unreadable:
        warnings.append(f"left out of all numbers: {counted(len(unreadable), 'unreadable image', 'unreadable images')}")
        source = Subset(source, np.array(list(found), np.int64))
    judgment = judge(model, source, columns(found), options, str(path), scoring=scoring)
    return replace(
        judgment,
        title=f"{path}: {'validation' if split == 'val' else split}",
        facts={"checkpoint": path, "scored on": _scored_on(path, overrides, split), **judgment.facts},
        warnings=[*source.warnings, *warnings, *judgment.warnings],
        unreadable=unreadable,
    )


def judge_onnx(
    path: Path,
    overrides: Sequence[str] = (),
    options: AnalysisOptions | None = None,
    split: Split = "val",
    scoring: Scoring = DEFAULT_SCORING,
) -> Judgment:
    """Judge an exported model on a split of the data of its config, which `overrides` may change.

    Raises:
        InputError: the file, an override or the data cannot be used.
    """
    model = load_onnx(path, overrides)

    detect = partial(detect_onnx, model)
    return judge_split(model, detect, path, overrides, options or AnalysisOptions(), split, scoring)


def detect_onnx(model: OnnxModel, source: Source) -> Found:
    """Return the detections and the padded size of each image, and the errors of images that cannot be read."""
    config, seen, results = model.config, model.config.seen(source), dict[int, Result]()
    samples = config.samples(seen, training=False)
    for index in range(len(seen)):
        try:
            sample = samples[0, index]
        except InputError as error:
            results[index] = error
            continue
        [candidates] = model.candidates([sample])
        size = model.padded((sample.image.shape[0], sample.image.shape[1]))
        results[index] = candidates if config.tiles else config.decoder.select_best(candidates), size
    return found_in_images(config, seen, results)


def found_in_images(config: Config, seen: Source, results: Mapping[int, Result]) -> Found:
    """Return what was found in each image, by its index; an image is not read if one of its tiles is not.

    Args:
        seen: what the network got: `config.seen`.
        results: by index of `seen`.
    """
    places = seen.images.tolist() if isinstance(seen, TiledSource) else range(len(seen))
    errors = {places[index]: one for index, one in results.items() if isinstance(one, InputError)}
    read = {
        index: one for index, one in results.items() if not isinstance(one, InputError) and places[index] not in errors
    }
    sizes = {places[index]: size for index, (_, size) in read.items()}
    whole = whole_images(config, seen, {index: detections for index, (detections, _) in read.items()})
    return {image: (detections, sizes[image]) for image, detections in whole.items()}, errors


def _scored_on(path: Path, overrides: Sequence[str], split: Split) -> str:
    """Return what a report says of the split: val of the run's own data has chosen its best.pt."""
    own_data = not any(word.startswith("data") for word in overrides)
    if split == "val" and own_data and (path.name.startswith("best") or path.suffix.lower() == ".onnx"):
        return "val, which chose the checkpoint: the numbers are somewhat too good"
    return split


def judge(
    model: TrainedModel | OnnxModel,
    source: Source,
    found: tuple[Sequence[Detections], Sequence[Size]],
    options: AnalysisOptions,
    name: str,
    max_analyzed: int | None = None,
    scoring: Scoring = DEFAULT_SCORING,
) -> Judgment:
    """Score and analyze what `detect` found; warnings call the model `name`, and `judge_detections` has the rest."""
    detections, padded = scoring.detections(found[0]), found[1]
    images = np.arange(len(source))
    groups = scoring.groups(Path(name), source, images)
    source = OneClass(source, images) if scoring.class_agnostic else source
    evaluation = score_detections(detections, source, model.config, scoring)
    usage = anchor_usage(model.config, detections, padded)
    options = replace(options, anchor_usage=usage, protocol=scoring.protocol, groups=groups)
    judgment = judge_detections(source, detections, evaluation, options, source, max_analyzed)
    localization = localization_of(model.config, detections, source)
    warning = localization and localization_warning(localization, name)
    return replace(
        judgment,
        localization=localization,
        facts={**model.facts(), **scoring.facts(evaluation, groups), "scorer": scorer_version(scoring.scorer)},
        scoring=scoring.described(evaluation, groups),
        warnings=[*judgment.warnings, *([warning] if warning else [])],
    )


def score_detections(
    detections: Sequence[Detections], source: Source, config: Config, scoring: Scoring = DEFAULT_SCORING
) -> Evaluation:
    """Score the detections of all images of `source`."""
    targets = [source.target(index) for index in range(len(source))]
    limits, protocol = config.scored_detections, scoring.protocol
    return evaluate(targets, detections, source.categories, limits, scorer=scoring.scorer, protocol=protocol)


def localization_of(config: Config, detections: Sequence[Detections], source: Source) -> Localization | None:
    """Score the top box of every image of `source`; None unless task=localization."""
    if config.task != "localization":
        return None
    indices = range(len(source))
    targets = [source.training_target(index) for index in indices]
    return localize(targets, detections, [source.size(index) for index in indices])


def columns(found: dict[int, tuple[Detections, Size]]) -> tuple[list[Detections], list[Size]]:
    """Return the detections and the padded sizes of all images that were read."""
    return [one for one, _ in found.values()], [size for _, size in found.values()]


def anchor_usage(config: Config, detections: Sequence[Detections], padded: Sequence[Size]) -> AnchorUsage | None:
    """Return the level and the shape of the anchor of every detection; None without images or known anchors."""
    unknown = isinstance(config.anchors, UnimportedPart)  # an exported file needs no code for its anchors
    if unknown or not config.method.has_anchors or config.tiles is not None:
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
