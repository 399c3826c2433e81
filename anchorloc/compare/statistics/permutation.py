"""Could these differences be the luck of the seeds? A permutation test within seeds, over all contrasts at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float64Array = NDArray[np.float64]
MOST_EXACT = 14  # seeds up to which all 2**S swaps are made; beyond, so many are drawn
DRAWN = 1 << 14


def smallest_p(seeds: int) -> float:
    """Return the least p that so many seeds can reach, whatever the contrasts: no swap is more extreme than none and
    all."""
    return max(2.0 ** (1 - seeds), 1 / (DRAWN + 1) if seeds > MOST_EXACT else 0.0)


def family_wise_p(differences: Float64Array, seed: int = 0) -> Float64Array:
    """Return p (K,) of each contrast, two-sided, so that with 5% at most any true "no difference" gets 0.05 or less.

    Without a true difference the two settings of a contrast could as well swap their names within any seed, which
    turns the sign of its difference there. The swaps are made in all K contrasts at once, so they keep how these hang
    together. The statistic |sum of d| / sqrt(sum of d²) makes contrasts of different spread alike; its greatest over
    the contrasts is what each is held against, step by step down from the clearest (Westfall and Young, 1993).

    Args:
        differences: (S, K) of each seed in each contrast.
        seed: of the swaps that are drawn where there are too many seeds to make all.
    """
    seeds, contrasts = differences.shape
    spread = np.sqrt((differences**2).sum(axis=0))
    scaled = np.divide(differences, spread, out=np.zeros_like(differences), where=spread > 0)
    observed = np.abs(scaled.sum(axis=0))
    swapped = np.abs(_swaps(seeds, seed) @ scaled)  # (P, K)
    order = np.argsort(-observed, kind="stable")  # from the clearest down
    greatest = np.maximum.accumulate(swapped[:, order[::-1]], axis=1)[:, ::-1]  # of each contrast and those below it
    p = np.empty(contrasts)
    p[order] = np.maximum.accumulate((greatest >= observed[order] - 1e-12).mean(axis=0))
    return p


def _swaps(seeds: int, seed: int) -> Float64Array:
    """Signs (P, S): all of them, or those drawn and, first, none swapped."""
    if seeds <= MOST_EXACT:
        swapped = (np.arange(1 << seeds)[:, None] >> np.arange(seeds)) & 1
    else:
        drawn = np.random.default_rng(seed).integers(0, 2, (DRAWN, seeds))
        swapped = np.concatenate([np.zeros((1, seeds), np.int64), drawn])
    return np.where(swapped == 1, -1.0, 1.0)
