"""The arrays that both scorers return."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anchorloc.structures import BoolArray, Float64Array, IntArray


@dataclass(frozen=True, eq=False)
class Scores:
    """COCO's arrays, and the match of every detection. A number is -1 where a class has no box in an area range."""

    precision: Float64Array  # (T, R, C, 4 areas) at the last of max_detections
    recall: Float64Array  # (T, C, 4 areas, len(max_detections))
    matches: NDArray[np.integer]  # (T, D) row in the truth table of the box matched at each IoU, 0.5 first; or -1
    ignored: BoolArray  # (D,) ignored at IoU 0.5: matched to a crowd box, or past max_detections

    @property
    def matched(self) -> IntArray:
        """Return the matches at IoU 0.5 (D,)."""
        return np.asarray(self.matches[0], np.int64)


def mean_of_known(values: Float64Array) -> float | None:
    """Return the mean of the entries that are not -1, COCO's mark for "no ground truth"; None if there is none."""
    known = values[values > -1]
    return float(np.mean(known)) if known.size else None
