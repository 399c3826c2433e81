"""The loops of the search for shapes. Nothing is checked here.

What a shape is worth to a box is read from `curve`, a table over IoU from 0 to 1 in equal steps.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from anchorloc.boxes.jit import kernel

ZERO = np.float32(0)


@kernel
def iou(width: float, height: float, size: Any, away: Any) -> float:
    """IoU of an anchor and a box of `size` (width, height) whose centers are `away` (across, down) from each other."""
    across = min(width, size[0], (width + size[0]) / 2 - away[0])
    down = min(height, size[1], (height + size[1]) / 2 - away[1])
    if across <= 0 or down <= 0:
        return 0.0
    inter = across * down
    return float(inter / (width * height + size[0] * size[1] - inter))


@kernel
def fill_iou(levels: Any, shapes: Any, sizes: Any, away: Any, out: Any) -> None:
    """Fill `out` (C, N) with the IoU of every box with its best anchor of every shape: `levels` (C,), `shapes` (C, 2),
    `sizes` (N, 2), and `away` (L, N, 2) the way from each box to the nearest cell of each level."""
    for c in range(len(levels)):
        for n in range(len(sizes)):
            out[c, n] = iou(shapes[c, 0], shapes[c, 1], sizes[n], away[levels[c], n])


@kernel
def fill_worth(levels: Any, shapes: Any, sizes: Any, away: Any, curve: Any, out: Any) -> None:
    """Fill `out` (N, C) with what every shape is worth to every box."""
    last = len(curve) - 1
    for n in range(len(sizes)):
        for c in range(len(levels)):
            out[n, c] = curve[int(last * iou(shapes[c, 0], shapes[c, 1], sizes[n], away[levels[c], n]) + 0.5)]


@kernel
def fill_others(worth: Any, without: int, out: Any) -> None:
    """Fill `out` (N,) with the most that any column of `worth` (N, S), `without` one, is worth to each box, at least
    0."""
    for n in range(len(worth)):
        best = ZERO
        for s in range(worth.shape[1]):
            if s != without:
                best = max(best, worth[n, s])
        out[n] = best


@kernel
def fill_gains(worth: Any, best: Any, weights: Any, out: Any) -> None:
    """Fill `out` (C,) with what each column of `worth` (N, C) adds over `best` (N,)."""
    out[:] = 0
    for n in range(len(best)):
        for c in range(len(out)):  # the columns inside, so that the sums of many go side by side
            out[c] += weights[n] * max(worth[n, c] - best[n], ZERO)


@kernel
def gain(
    width: float, height: float, sizes: Any, away: Any, curve: Any, best: Any, weights: Any
) -> float:  # fmt: skip
    """What one shape, on the level of `away` (N, 2), adds over `best` (N,)."""
    total, last = 0.0, len(curve) - 1
    for n in range(len(sizes)):
        worth = curve[int(last * iou(width, height, sizes[n], away[n]) + 0.5)]
        total += weights[n] * max(worth - best[n], ZERO)
    return total
