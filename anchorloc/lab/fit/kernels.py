"""The inner loops of the shape search, without checks.

The utility of an IoU is read from `curve` (F,), a table over IoU from 0 to 1 in equal steps.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from anchorloc.boxes.jit import kernel

ZERO = np.float32(0)


@kernel
def iou(width: float, height: float, size: Any, offset: Any) -> float:
    """Return the IoU of an anchor and a box of `size` (width, height) whose centers are `offset` (|x|, |y|) apart."""
    across = min(width, size[0], (width + size[0]) / 2 - offset[0])
    down = min(height, size[1], (height + size[1]) / 2 - offset[1])
    if across <= 0 or down <= 0:
        return 0.0
    inter = across * down
    return float(inter / (width * height + size[0] * size[1] - inter))


@kernel
def fill_iou(levels: Any, shapes: Any, sizes: Any, offset: Any, out: Any) -> None:
    """Fill `out` (C, N) with the IoU of every box with the nearest anchor of every shape.

    Args:
        levels: (C,) level of each shape.
        shapes: (C, 2) width, height.
        sizes: (N, 2) width, height of the boxes.
        offset: (L, N, 2) from each box to the nearest anchor center of each level.
    """
    for c in range(len(levels)):
        for n in range(len(sizes)):
            out[c, n] = iou(shapes[c, 0], shapes[c, 1], sizes[n], offset[levels[c], n])


@kernel
def fill_utility(levels: Any, shapes: Any, sizes: Any, offset: Any, curve: Any, out: Any) -> None:
    """Fill `out` (N, C) with the utility of every shape to every box; arguments as in `fill_iou`."""
    last = len(curve) - 1
    for n in range(len(sizes)):
        for c in range(len(levels)):
            out[n, c] = curve[int(last * iou(shapes[c, 0], shapes[c, 1], sizes[n], offset[levels[c], n]) + 0.5)]


@kernel
def fill_best(utility: Any, without: int, out: Any) -> None:
    """Fill `out` (N,) with the greatest of each row of `utility` (N, S), at least 0, ignoring column `without`."""
    for n in range(len(utility)):
        best = ZERO
        for s in range(utility.shape[1]):
            if s != without:
                best = max(best, utility[n, s])
        out[n] = best


@kernel
def fill_gains(utility: Any, best: Any, weights: Any, out: Any) -> None:
    """Fill `out` (C,) with the weighted utility that each column of `utility` (N, C) adds to `best` (N,)."""
    out[:] = 0
    for n in range(len(best)):
        for c in range(len(out)):  # columns inside: the compiler vectorizes over their sums
            out[c] += weights[n] * max(utility[n, c] - best[n], ZERO)


@kernel
def gain(
    width: float, height: float, sizes: Any, offset: Any, curve: Any, best: Any, weights: Any
) -> float:  # fmt: skip
    """Return the weighted utility that one shape adds to `best` (N,), on the level of `offset` (N, 2)."""
    total, last = 0.0, len(curve) - 1
    for n in range(len(sizes)):
        utility = curve[int(last * iou(width, height, sizes[n], offset[n]) + 0.5)]
        total += weights[n] * max(utility - best[n], ZERO)
    return total
