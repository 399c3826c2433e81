"""Truth and detections written by hand."""

from __future__ import annotations

import numpy as np

from anchorloc.structures import Detections, Target

Boxes = list[list[float]]


def target(boxes: Boxes, labels: list[int] | None = None, crowd: list[bool] | None = None) -> Target:
    """The truth of an image; class 0 and no crowd if not told."""
    array = np.array(boxes, np.float64).reshape(-1, 4)
    area = (array[:, 2] - array[:, 0]) * (array[:, 3] - array[:, 1])
    names = np.array(labels or [0] * len(array), np.int64)
    crowds = np.array(crowd or [False] * len(array), np.bool_)
    return Target(array, names, crowds, area, np.arange(len(array)))


def found(image_id: int | str, boxes: Boxes, scores: list[float], labels: list[int] | None = None) -> Detections:
    """The detections of an image; class 0 if not told."""
    array = np.array(boxes, np.float64).reshape(-1, 4)
    names = np.array(labels or [0] * len(array), np.int64)
    return Detections(array, np.array(scores, np.float64), names, np.full(len(array), -1), image_id)
