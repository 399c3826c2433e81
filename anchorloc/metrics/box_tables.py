"""Join the ground truth and the detections of all images into one checked table each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from anchorloc.errors import InputError
from anchorloc.structures import BoolArray, Detections, Float64Array, IntArray, Target


@dataclass(frozen=True, eq=False)
class TruthTable:
    """The G annotated boxes of all images, image after image."""

    images: IntArray  # (G,) index into the caller's images
    boxes: Float64Array  # (G, 4)
    labels: IntArray  # (G,)
    crowd: BoolArray  # (G,)
    area: Float64Array  # (G,)


@dataclass(frozen=True, eq=False)
class DetectionTable:
    """The D detections of all images, image after image."""

    images: IntArray  # (D,) index into the caller's images
    boxes: Float64Array  # (D, 4)
    labels: IntArray  # (D,)
    scores: Float64Array  # (D,)


def truth_table(targets: Sequence[Target], classes: int) -> TruthTable:
    """Join the boxes of all images.

    Raises:
        ValueError: a box or an area is not finite, a box has a negative size, or a label is not in 0..classes-1.
    """
    images = np.repeat(np.arange(len(targets)), [len(target) for target in targets])
    table = TruthTable(
        images=images,
        boxes=np.concatenate([np.zeros((0, 4)), *(target.boxes.reshape(-1, 4) for target in targets)]),
        labels=np.concatenate([np.zeros(0, np.int64), *(target.labels for target in targets)]),
        crowd=np.concatenate([np.zeros(0, np.bool_), *(target.crowd for target in targets)]),
        area=np.concatenate([np.zeros(0), *(target.area for target in targets)]),
    )
    wrong = _wrong_boxes(table.boxes) | ~np.isfinite(table.area) | _wrong_labels(table.labels, classes)
    for row in np.flatnonzero(wrong)[:1]:
        image = int(images[row])
        raise ValueError(
            f"targets[{image}] row {row - np.searchsorted(images, image)}: box {table.boxes[row].tolist()}, area "
            f"{table.area[row]}, label {table.labels[row]}: need a finite box of no negative size and a label "
            f"from 0 to {classes - 1}"
        )
    return table


def detection_table(detections: Sequence[Detections], classes: int) -> DetectionTable:
    """Join the detections of all images.

    Raises:
        InputError: a box or a score is not finite, as after a diverged training. pycocotools would score NaN boxes as
            perfect (AP 1.0), since no comparison with NaN rejects them.
        ValueError: a box has a negative size, or a label is not in 0..classes-1.
    """
    images = np.repeat(np.arange(len(detections)), [len(found) for found in detections])
    table = DetectionTable(
        images=images,
        boxes=np.concatenate([np.zeros((0, 4)), *(found.boxes.reshape(-1, 4) for found in detections)]),
        labels=np.concatenate([np.zeros(0, np.int64), *(found.labels for found in detections)]),
        scores=np.concatenate([np.zeros(0), *(found.scores for found in detections)]),
    )
    finite = np.isfinite(table.boxes).all(axis=1) & np.isfinite(table.scores)
    for row in np.flatnonzero(~finite)[:1]:
        raise InputError(
            f"a detection in image {detections[images[row]].image_id!r} has the box {table.boxes[row].tolist()} and "
            f"the score {table.scores[row]}, which is not finite; drop it, or check the model for NaN"
        )
    wrong = _wrong_boxes(table.boxes) | _wrong_labels(table.labels, classes)
    for row in np.flatnonzero(wrong)[:1]:
        raise ValueError(
            f"detections[{images[row]}] (image {detections[images[row]].image_id!r}): box "
            f"{table.boxes[row].tolist()}, label {table.labels[row]}: need no negative size and a label from 0 to "
            f"{classes - 1}"
        )
    return table


def _wrong_boxes(boxes: Float64Array) -> BoolArray:
    return ~np.isfinite(boxes).all(axis=1) | (boxes[:, 2] < boxes[:, 0]) | (boxes[:, 3] < boxes[:, 1])


def _wrong_labels(labels: IntArray, classes: int) -> BoolArray:
    return (labels < 0) | (labels >= classes)
