"""One process, or several that torchrun started: told apart here and nowhere else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

PATIENCE = timedelta(hours=2)  # for the others while the first one validates


@dataclass(frozen=True)
class Processes:
    """The place of this process among `count`; the first one alone writes files, validates and talks."""

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the one that writes."""
        return self.rank == 0

    def wrap(self, model: nn.Module) -> nn.Module:
        """Return a module that trains `model` with the mean of all processes' gradients."""
        return DistributedDataParallel(model) if self.count > 1 else model

    def mean(self, value: float) -> float:
        """Return the mean of all processes' values."""
        if self.count == 1:
            return value
        total = self._tensor([value])
        dist.all_reduce(total)
        return total.item() / self.count

    def agree(self, *values: float) -> tuple[float, ...]:
        """Return the first process's values, to all."""
        if self.count == 1:
            return values
        shared = self._tensor(list(values))
        dist.broadcast(shared, src=0)
        return tuple(shared.tolist())

    def _tensor(self, values: list[float]) -> torch.Tensor:
        cuda = dist.get_backend() == "nccl"
        return torch.tensor(values, dtype=torch.float64, device="cuda" if cuda else "cpu")


@contextmanager
def joined_processes() -> Iterator[Processes]:
    """Join the group that torchrun describes in the environment; without one, be alone."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Processes()
        return
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if cuda else "gloo", timeout=PATIENCE)
    try:
        yield Processes(dist.get_rank(), count)
    finally:
        dist.destroy_process_group()
