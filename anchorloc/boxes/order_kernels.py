"""Numba kernels that sort boxes by descending score, or by class."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .jit import kernel

BYTE, LOWER = np.uint64(255), np.uint64(0xFFFFFFFF)


@kernel
def pack_scores(bits: NDArray[np.uint32], keys: NDArray[np.uint64]) -> bool:
    """Write integer keys that ascend as float32 scores descend, with equal scores by index.

    The upper half of a key is an integer that falls as the score rises; the lower half is the index. `bits` are the
    bits of the scores. Return False if a score is NaN.
    """
    for i in range(len(bits)):
        pattern = np.int64(bits[i])
        size = pattern & 0x7FFFFFFF
        if size > 0x7F800000:
            return False
        falling = 0x7FFFFFFF + size if pattern != size else 0x7FFFFFFF - size  # -0.0 is 0.0
        keys[i] = (falling << 32) | i
    return True


@kernel
def sort_by_upper_half(keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the keys in ascending order of their upper 32 bits; equal keys keep their order. Overwrites `keys`.

    A radix sort of eight bits per pass, which skips a pass if all keys have the same eight bits.
    """
    counts = np.zeros((4, 256), np.int64)
    first, second, third, fourth = counts[0], counts[1], counts[2], counts[3]  # faster than two indices
    for key in keys:
        first[(key >> np.uint64(32)) & BYTE] += 1
        second[(key >> np.uint64(40)) & BYTE] += 1
        third[(key >> np.uint64(48)) & BYTE] += 1
        fourth[key >> np.uint64(56)] += 1
    spare = np.empty_like(keys)
    for digit in range(4):
        shift, places = np.uint64(32 + 8 * digit), counts[digit]
        if len(keys) == 0 or places[(keys[0] >> shift) & BYTE] == len(keys):
            continue
        before = 0
        for value in range(256):
            places[value], before = before, before + places[value]
        for key in keys:
            value = (key >> shift) & BYTE
            place = places[value]
            spare[np.uint64(place)], places[value] = key, place + 1
        keys, spare = spare, keys
    return keys


@kernel
def order_by_upper_half(keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the lower halves of the keys in the order of `sort_by_upper_half`. Overwrites `keys`."""
    keys = sort_by_upper_half(keys)
    for i in range(len(keys)):
        keys[i] &= LOWER
    return keys


@kernel
def limits(classes: NDArray[np.int64]) -> tuple[int, int]:
    """Return the lowest and the highest class."""
    low, high = classes[0], classes[0]
    for i in range(1, len(classes)):
        low, high = min(low, classes[i]), max(high, classes[i])
    return low, high


@kernel
def group(
    classes: NDArray[np.int64], low: int, order: NDArray[np.int64], bounds: NDArray[np.int64], ranks: NDArray[np.int64]
) -> None:
    """Sort ranks 0..N-1 by class, stably; box order[r] has rank r.

    Class c gets ranks[bounds[c - low] : bounds[c - low + 1]]. `bounds` must be zeros.
    """
    for i in range(len(classes)):
        bounds[classes[i] - low + 1] += 1
    for c in range(1, len(bounds)):
        bounds[c] += bounds[c - 1]
    free = bounds.copy()
    for rank in range(len(order)):
        c = classes[order[rank]] - low
        ranks[free[c]] = rank
        free[c] += 1


@kernel
def choose(order: NDArray[np.int64], ranks: NDArray[np.int64], keep: NDArray[Any], kept: NDArray[np.int64]) -> int:
    """Write the kept boxes in the order of their rank and return their number; keep[i] belongs to rank ranks[i]."""
    stays = np.zeros(len(order), np.bool_)
    for i in range(len(ranks)):
        stays[ranks[i]] = keep[i]
    count = 0
    for rank in range(len(order)):
        kept[count] = order[rank]
        count += stays[rank]
    return count
