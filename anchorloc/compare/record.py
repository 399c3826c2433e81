"""What a finished run leaves for the comparison: its numbers, and which detection found which box."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydantic

from anchorloc.compare.statistics.weighted_ap import ASIDE, RIGHT, WRONG, Matches
from anchorloc.errors import InputError
from anchorloc.files import read_bytes, read_json, write_bytes, write_json
from anchorloc.metrics import Evaluation
from anchorloc.structures import Detections, Target

RECORD, MATCHES, FAILURE = "record.json", "matches.npz", "failure.txt"


@dataclass(frozen=True)
class Record:
    """The numbers of one run."""

    setting: str
    seed: int
    ap: float
    numbers: dict[str, float | None]  # COCO's twelve, by name
    steps: int
    seconds: float  # of training, over all restarts


def matches_of(evaluation: Evaluation, targets: Sequence[Target], detections: Sequence[Detections]) -> Matches:
    """Return the matches of an evaluation, ranked as pycocotools ranks them.

    What is past the detection limit is left out, and so is what comes after the last right detection of a class: it
    changes no precision that counts.
    """
    scores, classes, images = evaluation.scores, len(evaluation.classes), len(targets)
    labels = np.concatenate([np.zeros(0, np.int64), *(found.labels for found in detections)])
    confidence = np.concatenate([np.zeros(0), *(found.scores for found in detections)])
    image = np.repeat(np.arange(images), [len(found) for found in detections])
    place = np.argsort(_image_order([found.image_id for found in detections]))[image]
    crowd = np.concatenate([np.zeros(0, np.bool_), *(target.crowd for target in targets)])
    outcome = (
        np.where(scores.matches >= 0, np.where(crowd[scores.matches], ASIDE, RIGHT), WRONG)
        if len(crowd)
        else (np.full(scores.matches.shape, WRONG))
    )
    past_limit = scores.ignored & (scores.matches[0] < 0)
    order = np.lexsort((place, -confidence, labels))
    order = order[~past_limit[order]]
    order = order[_until_last_right((outcome[:, order] == RIGHT).any(axis=0), labels[order])]
    boxes = np.zeros((classes, images), np.int32)
    for index, target in enumerate(targets):
        boxes[:, index] = np.bincount(target.labels[~target.crowd], minlength=classes)
    return Matches(
        images=image[order].astype(np.int32),
        outcome=outcome[:, order].astype(np.int8),
        ends=np.searchsorted(labels[order], np.arange(classes), side="right"),
        boxes=boxes,
    )


def _image_order(ids: list[int | str]) -> list[int]:
    """pycocotools ranks equal scores of different images by image id."""
    return sorted(range(len(ids)), key=lambda image: (isinstance(ids[image], str), ids[image]))


def _until_last_right(right: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Mask the rows, class by class, up to the last right one."""
    last = np.full(labels.max(initial=0) + 1, -1)
    np.maximum.at(last, labels[right], np.flatnonzero(right))
    return np.asarray(np.arange(len(labels)) <= last[labels])


def write_record(folder: Path, record: Record, matches: Matches) -> None:
    """Write both files into the folder of a run; record.json comes last and says that the run is done.

    Raises:
        InputError: the file system refuses.
    """
    file = io.BytesIO()
    np.savez_compressed(file, **vars(matches))
    write_bytes(folder / MATCHES, file.getvalue())
    write_json(folder / RECORD, vars(record))
    (folder / FAILURE).unlink(missing_ok=True)


def read_record(folder: Path) -> Record | None:
    """Return the numbers of a run, or None where it is not done.

    Raises:
        InputError: the file is damaged.
    """
    path = folder / RECORD
    if not path.exists():
        return None
    try:
        return pydantic.TypeAdapter(Record).validate_python(read_json(path))
    except pydantic.ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise InputError(f"{path}: {where}: {error.errors()[0]['msg']}; remove it to judge the run again") from None


def read_matches(folder: Path) -> Matches:
    """Return the matches of a finished run.

    Raises:
        InputError: the file is missing or damaged.
    """
    path = folder / MATCHES
    try:
        arrays: dict[str, Any] = dict(np.load(io.BytesIO(read_bytes(path)), allow_pickle=False))
        matches = Matches(**arrays)
        (_, found), (_, images) = matches.outcome.shape, matches.boxes.shape
        fits = len(matches.images) == found == matches.ends[-1] and matches.images.max(initial=0) < images
    except (ValueError, TypeError, KeyError, EOFError, IndexError, zipfile.BadZipFile) as error:
        if isinstance(error, InputError):
            raise
        fits = False
    if not fits:
        raise InputError(f"{path} is damaged; remove it and {RECORD} beside it to judge the run again")
    return matches
