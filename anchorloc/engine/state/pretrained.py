"""Load initial weights from a torchvision detector or from another run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from anchorloc.checkpoint import is_checkpoint, load_checkpoint, load_weights, refuse_unusable
from anchorloc.config import Config, config_from_plain
from anchorloc.detector import Detector
from anchorloc.detector.torchvision_weights import COCO_COUNT, COCO_ROWS, family, translate
from anchorloc.detector.transfer import logits_per_anchor, transfer_weights
from anchorloc.engine.state.checkpoint_schema import ModelCheckpoint, check_entries, with_current_names
from anchorloc.errors import InputError
from anchorloc.structures import Category


@dataclass(frozen=True)
class _WeightFile:
    """A state dict under the names of this package, and the classes of its logits."""

    state: Mapping[str, Tensor]
    rows: Mapping[str, int]  # logit of each class whose name is known
    first: int  # logit of the first class: 1 after a background class
    advice: str  # last words of the error if it does not fit


def load_pretrained(network: Detector, config: Config, categories: Sequence[Category]) -> list[str]:
    """Load the file `detector.weights` into `network`; return a phrase for each part that was not loaded.

    Classes are matched by name if the names are known (a checkpoint of a run, or the 91 classes of COCO), else in
    order if their number is equal.

    Raises:
        InputError: the file cannot be read, or belongs to another network.
    """
    path = Path(config.detector.weights)
    given = _read(path)
    try:
        count = logits_per_anchor(given.state)
        classes = _matched(given, count, [category.name for category in categories])
        background: list[int | None] = [0 if given.first else None] if config.detector.head.background_class else []
        not_loaded = transfer_weights(network, given.state, [*background, *classes])
    except InputError as error:
        raise InputError(f"{path} does not fit the network of these settings: {error}; {given.advice}") from None
    if missing := [category.name for category, row in zip(categories, classes, strict=True) if row is None]:
        shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        not_loaded.append(f"{len(missing)} of {len(categories)} classes ({shown}): not among the {count - given.first}")
    return not_loaded


def known_classes(path: Path) -> tuple[Category, ...] | None:
    """Return the classes of a file of weights, or None if they are unknown; torchvision's are COCO's.

    Raises:
        InputError: the file cannot be read, or holds no detector.
    """
    given = _read(path)
    if is_checkpoint(path):
        return tuple(Category(*pair) for pair in load_checkpoint(path)["categories"])
    return tuple(Category(row, name) for name, row in given.rows.items()) or None


def _matched(given: _WeightFile, count: int, names: Sequence[str]) -> list[int | None]:
    """Return the logit of the file for each class, or None."""
    if any(name in given.rows for name in names):
        return [given.rows.get(name) for name in names]
    if not given.rows or count == COCO_COUNT:  # torchvision's files hold no names
        return list(range(given.first, count)) if count - given.first == len(names) else [None] * len(names)
    return [None] * len(names)


def _read(path: Path) -> _WeightFile:
    """Read a checkpoint of a run, or a torchvision file, whose names are translated."""
    if is_checkpoint(path):
        state = load_checkpoint(path)
        check_entries(path, state, ModelCheckpoint)
        refuse_unusable(path, state["model"])
        settings = with_current_names(state)["config"]
        first = int(config_from_plain(settings, str(path)).detector.head.background_class)
        rows = {str(name): first + place for place, (_, name) in enumerate(state["categories"])}
        return _WeightFile(state["model"], rows, first, "use the settings of the run that it comes from")
    weights = load_weights(path)
    kind = family(weights)
    try:
        state = translate(weights)
        count = logits_per_anchor(state)
    except InputError as error:
        raise InputError(f"{path} cannot be used as weights: {error}") from None
    rows = COCO_ROWS if count == COCO_COUNT else {}
    return _WeightFile(state, rows, 1, f"it is a {kind}, see configs/{kind}.yaml")
