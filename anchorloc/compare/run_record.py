"""The files that a finished run leaves for the comparison: its numbers and its matched detections."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import pydantic

from anchorloc.errors import InputError
from anchorloc.files import read_bytes, read_json, unpacked_size, write_bytes, write_json
from anchorloc.metrics import FALSE_POSITIVE, IGNORED, TRUE_POSITIVE, MatchResult

RECORD, OUTCOMES, FAILURE = "record.json", "outcomes.npz", "failure.txt"
MATCHES = "matches.npz"  # earlier versions wrote it in place of OUTCOMES
MAX_UNPACKED = 1 << 31  # bytes; 500,000 detections take 57 MB


@dataclass(frozen=True)
class RunRecord:
    """The numbers of one run."""

    setting: str
    seed: int
    ap: float
    numbers: dict[str, float | None]  # COCO's 12 numbers by name
    steps: int
    seconds: float  # training time over all restarts
    localization: dict[str, float] = field(default_factory=dict)  # as `localization_numbers`; empty for detection
    warning: str = ""  # about the boxes of a localization task


def write_record(folder: Path, record: RunRecord, match_result: MatchResult) -> None:
    """Write both files into the folder of a run; record.json comes last and marks the run as done.

    Raises:
        InputError: the file system refuses.
    """
    file = io.BytesIO()
    arrays: dict[str, Any] = {field.name: getattr(match_result, field.name) for field in fields(match_result)}
    np.savez_compressed(file, **arrays)
    write_bytes(folder / OUTCOMES, file.getvalue())
    write_json(folder / RECORD, vars(record))
    (folder / FAILURE).unlink(missing_ok=True)


def read_record(folder: Path) -> RunRecord | None:
    """Return the numbers of a run, or None if it is not done.

    Raises:
        InputError: the file is damaged.
    """
    path = folder / RECORD
    if not path.exists():
        return None
    try:
        return pydantic.TypeAdapter(RunRecord).validate_python(read_json(path))
    except pydantic.ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise InputError(f"{path}: {where}: {error.errors()[0]['msg']}; remove it to judge the run again") from None


def read_match_result(folder: Path) -> MatchResult:
    """Return the matched detections of a finished run, from this version's file or an earlier version's.

    Raises:
        InputError: the file is missing or damaged.
    """
    path = folder / OUTCOMES
    if not path.exists() and (folder / MATCHES).exists():
        path = folder / MATCHES
    try:
        data = read_bytes(path)
        if unpacked_size(data) > MAX_UNPACKED:
            raise ValueError
        arrays: dict[str, Any] = dict(np.load(io.BytesIO(data), allow_pickle=False))
        match_result = _from_matches(**arrays) if path.name == MATCHES else _from_arrays(**arrays)
        fits = _is_consistent(match_result)
    except (ValueError, TypeError, KeyError, EOFError, IndexError, zipfile.BadZipFile) as error:
        if isinstance(error, InputError):
            raise
        fits = False
    if not fits:
        raise InputError(f"{path} is damaged; remove it and {RECORD} beside it to judge the run again")
    return match_result


def _from_arrays(image_count: Any, **arrays: Any) -> MatchResult:
    return MatchResult(**arrays, image_count=int(image_count))


def _from_matches(images: Any, outcome: Any, ends: Any, boxes: Any) -> MatchResult:
    """Convert the file of an earlier version, which lacks what AP does not need: rows, ranks and matched boxes.

    `outcome` (T, D) is 1 for a true positive, 0 for a false positive and -1 for ignored; `boxes` is (C, N).
    """
    labels, truth_images = np.nonzero(boxes)
    counts = boxes[labels, truth_images]
    return MatchResult(
        rows=np.arange(len(images)),
        images=images.astype(np.int64),
        ranks=np.zeros(len(images), np.int64),
        starts=np.concatenate([[0], ends]).astype(np.int64),
        states=np.array([FALSE_POSITIVE, TRUE_POSITIVE, IGNORED], np.int8)[outcome][None],  # -1 is the last
        matches=np.full(outcome.shape, -1),
        truth_images=np.repeat(truth_images, counts),
        truth_labels=np.repeat(labels, counts),
        countable_boxes=np.ones((1, counts.sum()), np.bool_),
        image_count=boxes.shape[1],
    )


def _is_consistent(found: MatchResult) -> bool:
    (_, thresholds, detections), (_, boxes) = found.states.shape, found.countable_boxes.shape
    lengths = {
        len(found.rows),
        len(found.images),
        len(found.ranks),
        int(found.starts[-1]),
        detections,
    }
    return (
        len(lengths) == 1
        and found.matches.shape == (thresholds, detections)
        and len(found.truth_images) == len(found.truth_labels) == boxes
        and max(found.images.max(initial=0), found.truth_images.max(initial=0)) < found.image_count
        and found.truth_labels.max(initial=-1) < found.classes
    )
