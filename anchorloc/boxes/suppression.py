"""Non-maximum suppression."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks import FloatArray, IndexArray, as_rows, as_scores, as_vector, check_fraction
from .order import by_class, descending
from .tables import box_table


def nms(boxes: ArrayLike, scores: ArrayLike, iou_threshold: float) -> IndexArray:
    """Return the indices of the kept boxes, by descending score.

    From the highest score down, a box is kept unless its IoU with a kept box is greater than `iou_threshold`. Of equal
    scores the lower index comes first. A box without area has IoU 0 with all boxes, itself included, so it is always
    kept, even beside an identical one.

    Args:
        boxes: (N, 4) xyxy.
        scores: (N,) numbers; infinite ones are allowed.
        iou_threshold: in [0, 1].

    Raises:
        ValueError: a score is NaN, a box is invalid, or the lengths differ.

    >>> nms([[0, 0, 10, 10], [0, 0, 10, 9], [20, 20, 30, 30]], [0.8, 0.9, 0.7], 0.5)
    array([1, 2])
    """
    rows = as_rows(boxes, "boxes")
    order = descending(as_vector(scores, "scores", len(rows)))
    return order[_stay(rows, order, np.asarray([0, len(order)]), iou_threshold)]


def batched_nms(boxes: ArrayLike, scores: ArrayLike, idxs: ArrayLike, iou_threshold: float) -> IndexArray:
    """Return the indices of the kept boxes, by descending score; only boxes of one class suppress each other.

    Each class is processed separately. No coordinate is shifted, so negative and large coordinates are exact.

    Args:
        boxes: (N, 4) xyxy.
        scores: (N,).
        idxs: (N,) integers, the class of each box.
        iou_threshold: in [0, 1].

    Raises:
        ValueError: as `nms`, or the classes are not integers.

    >>> batched_nms([[0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 9]], [0.8, 0.9, 0.7], [0, 0, 1], 0.5)
    array([1, 2])
    """
    from . import order_kernels as kernels

    rows = as_rows(boxes, "boxes")
    order = descending(as_vector(scores, "scores", len(rows)))
    ranks, bounds = by_class(as_vector(idxs, "idxs", len(rows)), order)
    kept = np.empty(len(rows), np.int64)
    count = kernels.choose(order, ranks, _stay(rows, order[ranks], bounds, iou_threshold), kept)
    return kept[:count]


def soft_nms(
    boxes: ArrayLike, scores: ArrayLike, sigma: float = 0.5, score_threshold: float = 0.001
) -> tuple[IndexArray, FloatArray]:
    """Return the indices of the kept boxes, in the order of selection, and their (K,) new scores.

    A selected box multiplies the score of each remaining box by exp(-IoU² / sigma) (Bodla et al. 2017, equation 3).
    Then the box with the highest score is selected, until none is above `score_threshold`. Of equal scores the lower
    index comes first. An infinite score stays infinite.

    >>> soft_nms([[0, 0, 10, 10], [0, 0, 10, 10], [20, 20, 30, 30]], [0.9, 0.8, 0.7])
    (array([0, 2, 1]), array([0.9       , 0.7       , 0.10826823]))
    """
    from .nms_kernels import soft_nms as kernel

    if not 0 < sigma < np.inf:
        raise ValueError(f"sigma must be positive, got {sigma}")
    rows = as_rows(boxes, "boxes")
    lowered = as_scores(scores, len(rows)).copy()
    keep = np.empty(len(rows), np.int64)
    count = kernel(box_table(rows), lowered, 1 / sigma, score_threshold, keep)
    return keep[:count], lowered[keep[:count]]


def _stay(rows: NDArray[Any], order: IndexArray, bounds: NDArray[np.int64], iou_threshold: float) -> NDArray[np.bool_]:
    """Return an (N,) mask of the kept boxes, in the given order; each group lies between two bounds."""
    from . import nms_kernels as kernels

    check_fraction(iou_threshold, "iou_threshold")
    keep = np.empty(len(rows), np.bool_)
    # With about 512 kept boxes a scan costs as much as the grid; a low threshold makes the grid search too far.
    scan_limit = 512 if iou_threshold >= 0.3 else len(rows)
    kernels.nms(box_table(rows, order), bounds, _round_down(iou_threshold, rows.dtype), scan_limit, keep)
    return keep


def _round_down(threshold: float, dtype: np.dtype[Any]) -> Any:
    """Return the largest number of `dtype` up to the threshold; a number of `dtype` exceeds both or neither."""
    rounded = dtype.type(threshold)
    return rounded if float(rounded) <= float(threshold) else np.nextafter(rounded, dtype.type(-1))
