"""Rank values within groups, without a loop over the groups and without a wait for the device."""

from __future__ import annotations

import torch
from torch import Tensor


def rank_in_group(values: Tensor, groups: Tensor) -> Tensor:
    """Return the rank (N,) of each value in its group: 0 for the greatest, equal values by position.

    Args:
        values: (N,) numbers.
        groups: (N,) integers; equal ones make a group.
    """
    order = values.argsort(descending=True, stable=True)
    order = order[groups[order].argsort(stable=True)]  # by group, and by descending value in each
    ordered = groups[order]
    ranks = torch.arange(len(order), device=order.device) - torch.searchsorted(ordered, ordered)
    return torch.empty_like(order).scatter_(0, order, ranks)
