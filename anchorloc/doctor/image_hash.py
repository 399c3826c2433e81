"""Fingerprints of pixels: images that look alike have nearly the same one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anchorloc.structures import IntArray

SIDE = 16  # of the grid whose brightness differences are the bits: 256 of them
MARGIN = 4  # levels of 256 that count as brighter: less is noise, such as that of compression
ALIKE = 10  # bits of 256 that may differ
PLAIN = 3 * ALIKE  # bits that must be set: images with fewer are all alike
_BLOCK = 1 << 22  # pairs that are compared at once


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """A difference hash: whether each cell of a coarse gray grid is clearly brighter than its left neighbor."""

    words: NDArray[np.uint64]  # (4,) 256 bits

    @property
    def plain(self) -> bool:
        """Whether there is too little in the image to compare it."""
        return int(np.bitwise_count(self.words).sum()) < PLAIN


def fingerprint(pixels: NDArray[np.uint8]) -> Fingerprint:
    """Shrink (H, W, 3) RGB to a coarse grid and compare neighbors; scale and compression hardly matter."""
    gray = Image.fromarray(pixels).convert("L").resize((SIDE + 1, SIDE), Image.Resampling.BOX)
    grid = np.asarray(gray, np.int16)  # (SIDE, SIDE + 1)
    return Fingerprint(np.packbits(grid[:, 1:] > grid[:, :-1] + MARGIN).view(np.uint64))


def alike(first: list[Fingerprint], second: list[Fingerprint]) -> tuple[IntArray, IntArray, IntArray]:
    """Return the pairs of `first` and `second` that differ in at most ALIKE bits: (P,) places and (P,) bits."""
    if not first or not second:
        empty = np.empty(0, np.int64)
        return empty, empty, empty
    ours, theirs = np.stack([one.words for one in first]), np.stack([one.words for one in second])
    plain = np.array([one.plain for one in first])[:, None], np.array([one.plain for one in second])[None]
    parts = []
    step = max(1, _BLOCK // len(theirs))
    for start in range(0, len(ours), step):
        bits = np.zeros((len(ours[start : start + step]), len(theirs)), np.int64)
        for word in range(ours.shape[1]):
            bits += np.bitwise_count(ours[start : start + step, None, word] ^ theirs[None, :, word])
        near = (bits <= ALIKE) & ~plain[0][start : start + step] & ~plain[1]
        rows, columns = np.nonzero(near)
        parts.append(np.stack([rows + start, columns, bits[near]]))
    found = np.concatenate(parts, axis=1)
    return found[0], found[1], found[2]
