"""Which of many overlapping boxes stay."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks import FloatArray, IndexArray, as_boxes, as_scores, as_vector, check_fraction
from .tables import box_tables


def nms(boxes: ArrayLike, scores: ArrayLike, iou_threshold: float) -> IndexArray:
    """Return the indices of the boxes that stay, by descending score.

    From the highest score down, a box stays unless its IoU with one that stays is greater than `iou_threshold`. Equal
    scores go to the lower index. A box without area has IoU 0 with all others, itself included, so it always stays,
    even beside an identical one.

    Args:
        boxes: (N, 4) xyxy.
        scores: (N,) any numbers, infinite ones included.
        iou_threshold: in [0, 1].

    Raises:
        ValueError: a score that is NaN, a bad box, or lengths that differ.

    >>> nms([[0, 0, 10, 10], [0, 0, 10, 9], [20, 20, 30, 30]], [0.8, 0.9, 0.7], 0.5)
    array([1, 2])
    """
    checked = as_boxes(boxes)
    order = _descending(as_scores(scores, len(checked)))
    return order[_kept(checked[order], np.asarray([0, len(order)]), iou_threshold)]


def batched_nms(boxes: ArrayLike, scores: ArrayLike, idxs: ArrayLike, iou_threshold: float) -> IndexArray:
    """Return the indices of the boxes that stay when only boxes of one class suppress each other, by descending score.

    Each class is treated by itself; no coordinate is shifted, so negative and large coordinates are as good as any.

    Args:
        boxes: (N, 4) xyxy.
        scores: (N,).
        idxs: (N,) integers, the class of each box.
        iou_threshold: in [0, 1].

    Raises:
        ValueError: as `nms`, or classes that are not integers.

    >>> batched_nms([[0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 9]], [0.8, 0.9, 0.7], [0, 0, 1], 0.5)
    array([1, 2])
    """
    checked = as_boxes(boxes)
    classes = as_vector(idxs, "idxs", len(checked))
    if classes.dtype.kind not in "iu" and len(classes):
        raise ValueError(f"idxs must be integers, got dtype {classes.dtype}")
    order = _descending(as_scores(scores, len(checked)))
    grouped = np.argsort(classes[order], kind="stable")
    group = classes[order][grouped]
    bounds = np.concatenate([[0], np.flatnonzero(group[1:] != group[:-1]) + 1, [len(group)]])
    stays = np.empty(len(order), np.bool_)
    stays[grouped] = _kept(checked[order[grouped]], bounds, iou_threshold)
    return order[stays]


def soft_nms(
    boxes: ArrayLike, scores: ArrayLike, sigma: float = 0.5, score_threshold: float = 0.001
) -> tuple[IndexArray, FloatArray]:
    """Return the indices of the boxes that stay, in the order in which they are taken, and their (K,) new scores.

    Instead of being dropped, a box that overlaps a taken one has its score multiplied by exp(-IoU² / sigma) (Bodla et
    al. 2017, equation 3); the next to be taken is the one with the highest score then, until none is above
    `score_threshold`. Equal scores go to the lower index.

    >>> soft_nms([[0, 0, 10, 10], [0, 0, 10, 10], [20, 20, 30, 30]], [0.9, 0.8, 0.7])
    (array([0, 2, 1]), array([0.9       , 0.7       , 0.10826823]))
    """
    from . import nms_kernels

    if not 0 < sigma < np.inf:
        raise ValueError(f"sigma must be positive, got {sigma}")
    checked = as_boxes(boxes)
    lowered = as_scores(scores, len(checked)).copy()
    keep = np.empty(len(lowered), np.int64)
    count = nms_kernels.soft_nms(box_tables(checked)[0], lowered, 1 / sigma, score_threshold, keep)
    return keep[:count], lowered[keep[:count]]


def _descending(scores: NDArray[Any]) -> IndexArray:
    """The order of descending scores, lower index first among equals."""
    return np.argsort(-scores, kind="stable")


def _kept(boxes: NDArray[Any], bounds: NDArray[np.int64], iou_threshold: float) -> NDArray[np.bool_]:
    """(N,) which of the sorted boxes stay, groups lying between the bounds."""
    from . import nms_kernels

    check_fraction(iou_threshold, "iou_threshold")
    keep = np.empty(len(boxes), np.bool_)
    nms_kernels.nms(box_tables(boxes)[0], bounds, _round_down(iou_threshold, boxes.dtype), keep)
    return keep


def _round_down(threshold: float, dtype: np.dtype[Any]) -> Any:
    """The largest number of `dtype` that is not above the threshold: what exceeds the one exceeds the other."""
    rounded = dtype.type(threshold)
    return rounded if rounded <= threshold else np.nextafter(rounded, dtype.type(-1))
