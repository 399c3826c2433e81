"""AP of stored matches when some images count more than once: what a bootstrap over images asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anchorloc.boxes.jit import kernel

Float64Array = NDArray[np.float64]
RIGHT, WRONG, ASIDE = 1, 0, -1  # what a detection is at an IoU threshold; ASIDE: on a crowd box


@dataclass(frozen=True, eq=False)
class Matches:
    """Which detections find a box: all that AP needs. The D detections stand class by class, by descending score."""

    images: NDArray[np.int32]  # (D,) place of the image
    outcome: NDArray[np.int8]  # (T, D) RIGHT, WRONG or ASIDE at each IoU threshold
    ends: NDArray[np.int64]  # (C,) where the detections of each class end
    boxes: NDArray[np.int32]  # (C, N) boxes of each class to be found in each of the N images


def weighted_ap(matches: Matches, weights: Float64Array) -> Float64Array:
    """Return COCO's AP (B,) where image n counts weights[b, n] times; NaN where there is no box to find.

    A whole weight is that many copies of the image, but for equal scores of one class within it: the copies of such a
    detection stand together here.
    """
    return _weighted_ap(matches.images, matches.outcome, matches.ends, matches.boxes, weights)


@kernel
def _weighted_ap(images: Any, outcome: Any, ends: Any, boxes: Any, weights: Any) -> Float64Array:
    thresholds, classes = len(outcome), len(ends)
    result = np.empty(len(weights))
    recall, precision = np.empty(len(images)), np.empty(len(images))  # at each right detection
    for draw in range(len(weights)):
        total, known = 0.0, 0
        for label in range(classes):
            wanted = (boxes[label] * weights[draw]).sum()
            if wanted == 0:
                continue
            known += 1
            start = ends[label - 1] if label else 0
            for threshold in range(thresholds):
                count, right, seen = 0, 0.0, 0.0
                for row in range(start, ends[label]):
                    weight = weights[draw, images[row]]
                    if weight == 0 or outcome[threshold, row] == -1:
                        continue
                    seen += weight
                    if outcome[threshold, row] == 1:
                        right += weight
                        recall[count], precision[count] = right / wanted, right / seen
                        count += 1
                total += _interpolated(recall, precision, count) / thresholds
        result[draw] = total / known if known else np.nan
    return result


@kernel
def _interpolated(recall: Any, precision: Any, count: int) -> float:
    """Mean over 101 recalls of the greatest precision at that recall or above."""
    total, best, row = 0.0, 0.0, count - 1
    for step in range(100, -1, -1):
        while row >= 0 and recall[row] >= step * 0.01:
            best = max(best, precision[row])
            row -= 1
        total += best
    return total / 101
