"""A permutation test within seeds: could chance of the seeds explain the differences?"""

from __future__ import annotations

import numpy as np

from anchorloc.structures import Float64Array

MAX_EXACT_SEEDS = 14  # up to here all 2**S swaps are tried; with more seeds DRAWS random ones
DRAWS = 1 << 14


def smallest_p(seeds: int) -> float:
    """Return the smallest p that S seeds can reach: only no swap and all swaps are as extreme as the result."""
    return max(2.0 ** (1 - seeds), 1 / (DRAWS + 1) if seeds > MAX_EXACT_SEEDS else 0.0)


def family_wise_p(differences: Float64Array, seed: int = 0) -> Float64Array:
    """Return the two-sided p of each pair (K,), which keeps the family-wise error rate: 5% false winners at p <= 0.05.

    If the two settings of a pair are equal, swapping their names within a seed changes only the sign of the difference.
    The swaps are applied to all K pairs at once, which keeps the correlation between pairs. The statistic |sum of d| /
    sqrt(sum of d²) makes pairs of different spread comparable. Each pair is compared with the maximum over the pairs,
    step down from the largest statistic (Westfall and Young, 1993).

    Args:
        differences: (S, K) of each seed and pair.
        seed: of the random swaps, where there are too many seeds to try all.
    """
    seeds, pairs = differences.shape
    spread = np.sqrt((differences**2).sum(axis=0))
    scaled = np.divide(differences, spread, out=np.zeros_like(differences), where=spread > 0)
    observed = np.abs(scaled.sum(axis=0))  # (K,)
    swapped = np.abs(_signs(seeds, seed) @ scaled)  # (P, K)
    order = np.argsort(-observed, kind="stable")  # largest statistic first
    greatest = np.maximum.accumulate(swapped[:, order[::-1]], axis=1)[:, ::-1]  # over each pair and all smaller ones
    p = np.empty(pairs)
    p[order] = np.maximum.accumulate((greatest >= observed[order] - 1e-12).mean(axis=0))
    return p


def _signs(seeds: int, seed: int) -> Float64Array:
    """Return the sign of each seed in each swap (P, S): all swaps, or no swap and DRAWS random ones."""
    if seeds <= MAX_EXACT_SEEDS:
        swapped = (np.arange(1 << seeds)[:, None] >> np.arange(seeds)) & 1
    else:
        drawn = np.random.default_rng(seed).integers(0, 2, (DRAWS, seeds))
        swapped = np.concatenate([np.zeros((1, seeds), np.int64), drawn])
    return np.where(swapped == 1, -1.0, 1.0)
