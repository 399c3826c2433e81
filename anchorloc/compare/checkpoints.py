"""Detect with several checkpoints on the same images, to compare them as result files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anchorloc.data import Source, Split
from anchorloc.data.class_names import match_names
from anchorloc.data.class_subset import ClassSubset
from anchorloc.engine.evaluation import detect
from anchorloc.engine.trained_model import TrainedModel, load_model
from anchorloc.errors import InputError
from anchorloc.files import write_json
from anchorloc.predict.named_detections import NamedDetections
from anchorloc.structures import Category, Detections, Size
from anchorloc.text import first_few, shorten


@dataclass(frozen=True, eq=False)
class DetectedFiles:
    """The detections of each checkpoint as a result file, and the images and boxes that they belong to."""

    named: dict[str, tuple[Path, ...]]
    truth: ClassSubset
    warnings: tuple[str, ...]  # about classes that are left out, and images


def detect_all(checkpoints: Mapping[str, Sequence[Path]], split: Split, folder: Path) -> DetectedFiles:
    """Detect with every checkpoint on a split of the data of the last one, and write result files into `folder`.

    Only classes that all checkpoints and the data know are kept, matched by name.

    Raises:
        InputError: a checkpoint or the data cannot be used, or they have no class in common.
    """
    models = {name: [load_model(path) for path in paths] for name, paths in checkpoints.items()}
    last_name, last = list(models.items())[-1]
    source: Source = last[-1].config.data.open(split)
    kept, warnings = _common(models, source.categories, last_name)
    truth = ClassSubset(source, kept, ("the checkpoints", "the data"))
    warnings.extend(_of_other_data(models, last_name))
    warnings.extend(truth.check_images())
    named: dict[str, tuple[Path, ...]] = {}
    pairs = [(name, model) for name, some in models.items() for model in some]
    for number, (name, model) in enumerate(pairs, 1):
        found, _ = detect(model, ClassSubset(source, model.categories, (shorten(name), "the data")))
        rows = [row for index, one in enumerate(found) for row in _rows(one, source.size(index), model, kept)]
        path = folder / f"detections-{number}.json"
        write_json(path, rows)
        named[name] = (*named.get(name, ()), path)
    return DetectedFiles(named, truth, tuple(warnings))


def _common(
    models: Mapping[str, Sequence[TrainedModel]], known: Sequence[Category], last: str
) -> tuple[tuple[Category, ...], list[str]]:
    """Return the classes of the data that all models know, and a warning for each name that lacks some."""
    warnings, lacking = [], set[int]()
    for name, some in models.items():
        for model in some:
            places = match_names(known, model.categories, ("the data", shorten(name)))
            missing = [place for place, label in enumerate(places) if label is None]
            if missing:
                names = first_few([shorten(known[place].shown_name) for place in missing])
                warnings.append(f"{shorten(name)} does not know {names}; the comparison leaves these classes out")
            lacking |= set(missing)
    kept = tuple(category for place, category in enumerate(known) if place not in lacking)
    if not kept:
        raise InputError(f"the checkpoints and the data of {shorten(last)} have no class in common; compare others")
    return kept, list(dict.fromkeys(warnings))


def _of_other_data(models: Mapping[str, Sequence[TrainedModel]], last: str) -> list[str]:
    """Return a warning for each name with a model whose data differ from the data that all are scored on."""
    data = models[last][-1].config.data
    return [
        f"{shorten(name)} was trained with other data than {shorten(last)}, on whose images all are scored; make sure "
        "that it was not trained on these images"
        for name, some in models.items()
        if any(model.config.data != data for model in some)
    ]


def _rows(found: Detections, size: Size, model: TrainedModel, kept: Sequence[Category]) -> list[dict[str, Any]]:
    """Return the detections of an image in COCO's result format, without other classes than `kept`."""
    category_of = {category.name: category for category in kept}
    categories = tuple(category_of.get(one.name, one) for one in model.categories)
    named = NamedDetections(**vars(found), categories=categories, size=size)
    labels = [label for label, one in enumerate(model.categories) if one.name in category_of]
    return named.where(label=labels).to_coco(found.image_id)
