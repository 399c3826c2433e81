"""Split images into subsets: groups of images stay whole, and every class is spread evenly."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import numpy as np

from anchorloc.errors import InputError
from anchorloc.structures import Float64Array, IntArray
from anchorloc.text import counted


def stratified_group_split(
    counts: Float64Array, groups: Sequence[str], fractions: Sequence[float], seed: int
) -> IntArray:
    """Return the subset of each image, (N,), keeping groups whole and giving each subset its fraction of every column.

    Groups are placed one by one, first those that hold the greatest share of some class. Each goes to the subset
    where the squared distance to the target shares, relative to the fraction, grows least. The seed orders ties.

    Args:
        counts: what to spread, (N, K), such as the boxes of each class in each image.
        groups: the group of each image.
        fractions: of each subset, with sum 1.
        seed: another seed gives another split.

    Raises:
        InputError: there are fewer groups than subsets.
    """
    names, group_of = np.unique(np.array(groups, object), return_inverse=True)
    if len(names) < len(fractions):
        raise InputError(
            f"{counted(len(names), 'group')} of images cannot be split into {len(fractions)} subsets; "
            "group by a finer key, or make fewer subsets"
        )
    totals = np.zeros((len(names), counts.shape[1]))
    np.add.at(totals, group_of, counts)
    shares = totals / np.maximum(totals.sum(axis=0), 1)  # (G, K) of the whole data set
    order = np.array(Random(seed).sample(range(len(names)), len(names)))
    order = order[np.argsort(-shares[order].max(axis=1), kind="stable")]
    target = np.asarray(fractions, np.float64)[:, None]  # (P, 1)
    filled = np.zeros((len(fractions), counts.shape[1]))
    subset_of_group = np.empty(len(names), np.int64)
    for left, group in zip(range(len(order), 0, -1), order.tolist(), strict=True):
        share = shares[group]
        growth = (share * (2 * (filled - target) + share) / target).sum(axis=1)  # (P,)
        empty = filled[:, -1] == 0
        if empty.sum() >= left:  # the groups left are needed for the empty subsets
            growth[~empty] = np.inf
        subset = int(growth.argmin())
        subset_of_group[group] = subset
        filled[subset] += share
    return subset_of_group[group_of]
