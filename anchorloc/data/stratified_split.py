"""Split images into subsets: groups of images stay whole, and every class is spread evenly."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import numpy as np

from anchorloc.errors import InputError
from anchorloc.structures import IntArray
from anchorloc.text import counted


def stratified_group_split(
    images: IntArray, labels: IntArray, groups: Sequence[str], fractions: Sequence[float], seed: int
) -> IntArray:
    """Return the subset of each image, (N,), keeping groups whole and giving each subset its fraction of every class.

    Each subset also gets its fraction of the images. Groups are placed one by one, first those that hold the greatest
    share of some class. Each goes to the subset where the squared distance to the target shares, relative to the
    fraction, grows least. The seed orders ties.

    Args:
        images: the image of each box, (M,).
        labels: the class of each box, (M,), from 0.
        groups: the group of each image, (N,).
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
    columns = int(labels.max(initial=-1)) + 2  # the last one counts images
    keys = np.concatenate([group_of[images] * columns + labels, group_of * columns + columns - 1])
    pairs, counts = np.unique(keys, return_counts=True)  # a matrix of groups by classes may not fit into memory
    rows, classes = np.divmod(pairs, columns)
    shares = counts / np.bincount(classes, counts)[classes]  # a group has of the whole data set
    starts = np.searchsorted(rows, np.arange(len(names) + 1))
    order = np.array(Random(seed).sample(range(len(names)), len(names)))
    order = order[np.argsort(-np.maximum.reduceat(shares, starts[:-1])[order], kind="stable")]
    target = np.asarray(fractions, np.float64)[:, None]  # (P, 1)
    filled = np.zeros((len(fractions), columns))
    subset_of_group = np.empty(len(names), np.int64)
    for left, group in zip(range(len(order), 0, -1), order.tolist(), strict=True):
        mine, share = slice(starts[group], starts[group + 1]), np.zeros(columns)
        share[classes[mine]] = shares[mine]
        growth = (share * (2 * (filled - target) + share) / target).sum(axis=1)  # (P,)
        empty = filled[:, -1] == 0
        if empty.sum() >= left:  # the groups left are needed for the empty subsets
            growth[~empty] = np.inf
        subset = int(growth.argmin())
        subset_of_group[group] = subset
        filled[subset] += share
    return subset_of_group[group_of]
