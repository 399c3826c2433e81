"""Overlap of boxes: measures for all pairs, for pairs of rows, or the best partner of each row."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks import FloatArray, IndexArray, as_flags, check_same_length
from .tables import box_tables, with_angles

Kernel = Callable[[NDArray[Any], NDArray[Any], NDArray[Any], Any, int, int], None]


def box_iou(boxes1: ArrayLike, boxes2: ArrayLike, out: FloatArray | None = None, threads: int = 1) -> FloatArray:
    """Return the (N, M) IoU of every box of `boxes1` with every box of `boxes2`: intersection / union.

    Bit-equal to torchvision's wherever its result is not NaN, in float32 and in float64. Boxes without area give 0.

    Args:
        boxes1: (N, 4) xyxy.
        boxes2: (M, 4) xyxy.
        out: (N, M) C-contiguous output of the boxes' float type; reusing the memory of a large matrix saves time.
        threads: number of threads that share the rows.

    Raises:
        ValueError: a box that is not finite or has a negative size, or an `out` that does not fit.

    >>> box_iou([[0, 0, 10, 10]], [[0, 0, 10, 10], [0, 0, 10, 5], [20, 20, 30, 30]])
    array([[1. , 0.5, 0. ]])
    """
    from .overlap_kernels import box_iou as kernel

    return _pairwise(kernel, *box_tables(boxes1, boxes2), out, threads)


def generalized_box_iou(
    boxes1: ArrayLike, boxes2: ArrayLike, out: FloatArray | None = None, threads: int = 1
) -> FloatArray:
    """Return the (N, M) GIoU: IoU - (hull - union) / hull, where the hull is the smallest box around both
    (Rezatofighi et al. 2019, equation 3). In [-1, 1] and never above IoU. Arguments as in `box_iou`.

    >>> generalized_box_iou([[0, 0, 10, 10]], [[0, 0, 10, 5], [10, 0, 20, 10], [30, 0, 40, 10]])
    array([[ 0.5,  0. , -0.5]])
    """
    from .overlap_kernels import generalized_box_iou as kernel

    return _pairwise(kernel, *box_tables(boxes1, boxes2), out, threads)


def distance_box_iou(
    boxes1: ArrayLike, boxes2: ArrayLike, eps: float = 1e-7, out: FloatArray | None = None, threads: int = 1
) -> FloatArray:
    """Return the (N, M) DIoU: IoU - (distance of the centers)² / ((diagonal of the hull)² + eps)
    (Zheng et al. 2020, equation 7; `eps` as in torchvision). Never above IoU. Other arguments as in `box_iou`.

    >>> distance_box_iou([[0, 0, 6, 8]], [[0, 0, 6, 8], [6, 8, 12, 16]]).round(6)
    array([[ 1.  , -0.25]])
    """
    from .overlap_kernels import distance_box_iou as kernel

    return _pairwise(kernel, *box_tables(boxes1, boxes2), out, threads, eps)


def complete_box_iou(
    boxes1: ArrayLike, boxes2: ArrayLike, eps: float = 1e-7, out: FloatArray | None = None, threads: int = 1
) -> FloatArray:
    """Return the (N, M) CIoU: DIoU - v² / (1 - IoU + v + eps), where v = (4 / pi²) (difference of the angles
    atan(width / height))² (Zheng et al. 2020, equations 8 to 11; `eps` as in torchvision).

    Never above DIoU. The angle is atan2(w, h), so a side of 0 does not give NaN as in torchvision.
    Other arguments as in `box_iou`.

    >>> complete_box_iou([[0, 0, 10, 10]], [[0, 0, 10, 10], [0, 0, 0, 0]]).round(6)
    array([[ 1. , -0.3]])
    """
    from .overlap_kernels import complete_box_iou as kernel

    table1, table2 = (with_angles(table) for table in box_tables(boxes1, boxes2))
    return _pairwise(kernel, table1, table2, out, threads, eps)


def box_ioa(boxes1: ArrayLike, boxes2: ArrayLike, out: FloatArray | None = None, threads: int = 1) -> FloatArray:
    """Return the (N, M) share of each box of `boxes1` that lies in each box of `boxes2`: intersection / area of the
    box of `boxes1` ("IoF" in MMDetection; Detectron2's `pairwise_ioa` divides by the second). 0 for a box without
    area. Arguments as in `box_iou`.

    >>> box_ioa([[0, 0, 10, 10]], [[0, 0, 100, 100], [5, 0, 10, 10]])
    array([[1. , 0.5]])
    """
    from .overlap_kernels import box_ioa as kernel

    return _pairwise(kernel, *box_tables(boxes1, boxes2), out, threads)


def box_iou_crowd(
    detections: ArrayLike, truths: ArrayLike, crowd: ArrayLike, out: FloatArray | None = None, threads: int = 1
) -> FloatArray:
    """Return the (N, M) overlap by which COCO matches detections (`pycocotools.mask.iou`).

    It is the IoU, or for a crowd box the fraction of the detection inside it. Other arguments as in `box_iou`.

    Args:
        crowd: (M,) True where a row of `truths` is a crowd box.

    >>> box_iou_crowd([[0, 0, 10, 10]], [[0, 0, 20, 20], [0, 0, 20, 20]], [False, True])
    array([[0.25, 1.  ]])
    """
    from .overlap_kernels import box_iou_crowd as kernel

    table1, table2 = box_tables(detections, truths, ("detections", "truths"))
    flags = as_flags(crowd, "crowd", table2.shape[1]).astype(table2.dtype)
    return _pairwise(kernel, table1, np.vstack([table2, flags]), out, threads)


def paired_box_iou(boxes1: ArrayLike, boxes2: ArrayLike) -> FloatArray:
    """Return the (N,) IoU of each row of `boxes1` (N, 4) with the same row of `boxes2` (N, 4).

    >>> paired_box_iou([[0, 0, 10, 10], [0, 0, 1, 1]], [[0, 0, 10, 5], [0, 0, 1, 1]])
    array([0.5, 1. ])
    """
    from .overlap_kernels import paired_box_iou as kernel

    table1, table2 = box_tables(boxes1, boxes2)
    check_same_length(table1.T, table2.T, ("boxes1", "boxes2"))
    out = np.empty(table1.shape[1], table1.dtype)
    kernel(table1, table2, out)
    return out


def best_overlap(boxes1: ArrayLike, boxes2: ArrayLike, threads: int = 1) -> tuple[IndexArray, FloatArray]:
    """Return for each row of `boxes1` (N, 4) the row of `boxes2` (M, 4) with the greatest IoU, and that IoU.

    The lowest row wins a tie. Without any overlap the row is -1 and the IoU 0. Memory grows with N + M, because no
    matrix is made.

    >>> best_overlap([[0, 0, 10, 10], [50, 50, 60, 60]], [[0, 0, 10, 5], [0, 0, 10, 10]])
    (array([ 1, -1]), array([1., 0.]))
    """
    from .overlap_kernels import BLOCK
    from .overlap_kernels import best_overlap as kernel

    table1, table2 = box_tables(boxes1, boxes2)
    table2 = np.pad(table2, ((0, 0), (0, -table2.shape[1] % BLOCK)))
    index = np.empty(table1.shape[1], np.int64)
    best = np.empty(table1.shape[1], table1.dtype)
    _share(lambda start, stop: kernel(table1, table2, index, best, start, stop), len(best), threads)
    return index, best


def _pairwise(
    kernel: Kernel,
    table1: NDArray[Any],
    table2: NDArray[Any],
    out: FloatArray | None,
    threads: int,
    eps: float = 0.0,
) -> FloatArray:
    """Return the (N, M) matrix, computed by `threads` threads."""
    shape, dtype = (table1.shape[1], table2.shape[1]), table1.dtype
    if out is None:
        out = np.empty(shape, dtype)
    elif not isinstance(out, np.ndarray):
        raise ValueError(f"out must be an array, or None, got {out!r}; `box_convert` changes formats")
    elif out.shape != shape or out.dtype != dtype or not out.flags.c_contiguous or not out.flags.writeable:
        raise ValueError(
            f"out must be a writable C-contiguous {dtype} array of shape {shape}, got {out.dtype} of {out.shape}"
        )
    _share(lambda start, stop: kernel(table1, table2, out, dtype.type(eps), start, stop), len(out), threads)
    return out


def _share(work: Callable[[int, int], None], rows: int, threads: int) -> None:
    """Call `work(start, stop)` for consecutive parts of the rows, one per thread."""
    if not isinstance(threads, int | np.integer) or threads < 1:
        raise ValueError(f"threads must be a whole number of at least 1, got {threads!r}")
    if threads == 1:
        work(0, rows)
        return
    bounds = [rows * part // threads for part in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, bounds[:-1], bounds[1:]))
