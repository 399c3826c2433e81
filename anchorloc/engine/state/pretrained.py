"""Load initial weights from a torchvision detector or from another run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from anchorloc.checkpoint import is_checkpoint, load_checkpoint, load_weights, refuse_unusable
from anchorloc.config import Config, config_from_plain
from anchorloc.data.class_names import match_names
from anchorloc.detector import Detector
from anchorloc.detector.torchvision_weights import COCO_COUNT, COCO_ROWS, family, translate
from anchorloc.detector.transfer import logits_per_anchor, transfer_weights
from anchorloc.engine.state.checkpoint_schema import ModelCheckpoint, check_entries, with_current_names
from anchorloc.engine.state.run_folder import find_checkpoint
from anchorloc.errors import InputError
from anchorloc.structures import Category, categories_of
from anchorloc.text import first_few


@dataclass(frozen=True)
class _WeightFile:
    """A state dict under the names of this package, and the classes of its logits."""

    state: Mapping[str, Tensor]
    logits: Mapping[Category, int]  # logit of each class whose name is known
    named: bool  # whether the file has the names; torchvision's has none, and 91 logits need not be COCO's
    first: int  # logit of the first class: 1 after a background class
    advice: str  # last words of the error if it does not fit


def load_pretrained(network: Detector, config: Config, categories: Sequence[Category]) -> list[str]:
    """Load the file `detector.weights` into `network`; return a phrase for each part that was not loaded.

    Classes are matched by name if the names are known (a checkpoint of a run, or the 91 classes of COCO), else in
    order if their number is equal.

    Raises:
        InputError: the file cannot be read, belongs to another network, or has several classes of a name.
    """
    path = Path(config.detector.weights)
    given = _read(path)
    places = match_names(categories, list(given.logits), ("the data", str(path)))
    try:
        count = logits_per_anchor(given.state)
        classes = _logits(given, count, places)
        background: list[int | None] = [0 if given.first else None] if config.detector.head.background_class else []
        not_loaded = transfer_weights(network, given.state, [*background, *classes])
    except InputError as error:
        raise InputError(f"{path} does not fit the network of these settings: {error}; {given.advice}") from None
    if missing := [category.shown_name for category, row in zip(categories, classes, strict=True) if row is None]:
        shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        not_loaded.append(f"{len(missing)} of {len(categories)} classes ({shown}): not among the {count - given.first}")
    return not_loaded


def known_classes(path: Path) -> tuple[Category, ...] | None:
    """Return the classes of a file of weights, or None if they are unknown; torchvision's are COCO's.

    Raises:
        InputError: the file cannot be read, or holds no detector.
    """
    given = _read(path)
    return tuple(given.logits) or None


def class_sentences(path: Path, categories: Sequence[Category]) -> list[str]:
    """Say which classes of the data a run's checkpoint knows by name, which are new, and which of its own they lack.

    Of a file without names, say that its classes are taken in order, if they are.

    Raises:
        InputError: the file cannot be read, or holds no detector.
    """
    given = _read(path)
    if not given.named:
        in_order = _are_in_order(given, match_names(categories, list(given.logits), ("the data", str(path))))
        why = f"it names none, and has as many as the data; its first becomes {categories[0].shown_name!r}"
        return [f"classes taken over in order ({len(categories)}): {why}"] if in_order else []
    known, names = {one.name for one in given.logits}, {one.name for one in categories}
    groups = {
        "classes taken over": [one.shown_name for one in categories if one.name in known],
        "new classes, from random weights": [one.shown_name for one in categories if one.name not in known],
        "classes that the data lack, which the new model does not find": [
            one.shown_name for one in given.logits if one.name not in names
        ],
    }
    return [f"{what} ({len(some)}): {first_few(some, 20)}" for what, some in groups.items() if some]


def _are_in_order(given: _WeightFile, places: Sequence[int | None]) -> bool:
    """Whether a file without names has as many classes as the data; `places` are indices of its known classes."""
    return not given.named and set(places) <= {None} and logits_per_anchor(given.state) - given.first == len(places)


def _logits(given: _WeightFile, count: int, places: Sequence[int | None]) -> list[int | None]:
    """Return the logit of the file for each class, or None; `places` are indices of its named classes."""
    if _are_in_order(given, places):
        return list(range(given.first, count))
    logits = list(given.logits.values())
    return [None if place is None else logits[place] for place in places]


def _read(path: Path) -> _WeightFile:
    """Read a checkpoint of a run, or of the folder of one, or a torchvision file, whose names are translated."""
    path = find_checkpoint(path)
    if is_checkpoint(path):
        state = load_checkpoint(path)
        check_entries(path, state, ModelCheckpoint)
        refuse_unusable(path, state["model"])
        settings = with_current_names(state)["config"]
        first = int(config_from_plain(settings, str(path)).detector.head.background_class)
        logits = {category: first + place for place, category in enumerate(categories_of(state["categories"]))}
        return _WeightFile(state["model"], logits, True, first, "use the settings of the run that it comes from")
    weights = load_weights(path)
    kind = family(weights)
    try:
        state = translate(weights)
        count = logits_per_anchor(state)
    except InputError as error:
        raise InputError(f"{path} cannot be used as weights: {error}") from None
    logits = {Category(row, name): row for name, row in COCO_ROWS.items()} if count == COCO_COUNT else {}
    return _WeightFile(state, logits, False, 1, f"it is a {kind}, see configs/{kind}.yaml")
