"""Which sample comes when: a function of the seed and the position, and of nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class TrainOrder:
    """An endless stream of batches of (epoch, index), epoch after epoch, each a permutation of all images.

    A batch may span two epochs, so every batch is full and the stream can be entered at any step.
    """

    images: int
    batch_size: int
    seed: int
    start: int = 0  # the first step that is given
    part: tuple[int, int] = (0, 1)  # (rank, count): every batch is dealt out to so many processes

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        position = self.start * self.batch_size
        epoch, permutation = -1, np.empty(0, np.int64)
        while True:
            batch = []
            for place in range(position, position + self.batch_size):
                if place // self.images != epoch:
                    epoch = place // self.images
                    permutation = np.random.default_rng((self.seed, epoch)).permutation(self.images)
                batch.append((epoch, int(permutation[place % self.images])))
            rank, count = self.part
            yield batch[rank::count]
            position += self.batch_size


@dataclass(frozen=True)
class ValidationOrder:
    """Every image once, in order, as batches of (0, index)."""

    images: int
    batch_size: int

    def __len__(self) -> int:
        return -(-self.images // self.batch_size)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for start in range(0, self.images, self.batch_size):
            yield [(0, index) for index in range(start, min(start + self.batch_size, self.images))]
