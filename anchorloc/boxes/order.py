"""Sort boxes by score, or by class, for suppression."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .checks import IndexArray, as_floats


def descending(scores: NDArray[Any]) -> IndexArray:
    """Return the order of descending scores, as `np.argsort(-scores, kind="stable")` does, and refuse NaN.

    A radix sort takes each score and its index as one integer. A float64 score leaves no bits for an index, so its
    rank is used instead.
    """
    from . import order_kernels as kernels

    scores = as_floats(scores, "scores")
    keys = np.empty(len(scores), np.uint64)  # in the order of the indices
    if scores.dtype == np.float64:
        order = np.argsort(-scores)  # equal scores in any order, NaN last
        ranked = scores[order]
        numbers = not np.isnan(ranked[-1:]).any()
        ranks = np.zeros(len(scores), np.uint64)
        np.cumsum(ranked[1:] != ranked[:-1], out=ranks[1:])
        keys[order] = ranks << np.uint64(32) | order.view(np.uint64)
    else:
        numbers = kernels.pack_scores(np.array(scores).view(np.uint32), keys)
    if not numbers:
        raise ValueError(f"scores[{int(np.isnan(scores).argmax())}] is nan: a score must be a number")
    return kernels.order_by_upper_half(keys).view(np.int64)


def by_class(classes: NDArray[Any], order: IndexArray) -> tuple[IndexArray, IndexArray]:
    """Return the ranks 0..N-1 in `order` sorted by class, and the bounds of each class in them."""
    from . import order_kernels as kernels

    if not len(classes):
        return order, np.zeros(2, np.int64)
    if classes.dtype.kind not in "iu":
        raise ValueError(f"idxs must be integers, got dtype {classes.dtype}")
    labels = np.array(classes, np.int64)
    low, high = map(int, kernels.limits(labels))
    if high - low > 4 * len(labels) + 1000:  # too sparse to count
        labels = np.unique(labels, return_inverse=True)[1].astype(np.int64)
        low, high = 0, int(labels.max())
    bounds, ranks = np.zeros(high - low + 2, np.int64), np.empty(len(labels), np.int64)
    kernels.group(labels, low, order, bounds, ranks)
    return ranks, bounds
