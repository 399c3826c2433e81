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
    pieces: int = 1  # in which a process gets what is its own of a batch, one after the other

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        position = self.start * self.batch_size
        epoch, permutation = -1, np.empty(0, np.int64)
        rank, count = self.part
        while True:
            batch = []
            for place in range(position, position + self.batch_size):
                if place // self.images != epoch:
                    epoch = place // self.images
                    permutation = np.random.default_rng((self.seed, epoch)).permutation(self.images)
                batch.append((epoch, int(permutation[place % self.images])))
            mine = batch[rank::count]
            for piece in range(self.pieces):
                yield mine[piece :: self.pieces]
            position += self.batch_size


@dataclass(frozen=True)
class ValidationOrder:
    """Every image once, in order, as batches of (0, index).

    Several processes take turns with the same batches that one would see, so that each comes out the same.
    """

    images: int
    batch_size: int
    part: tuple[int, int] = (0, 1)  # (rank, count) of this process

    def __len__(self) -> int:
        return len(self._starts())

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for start in self._starts():
            yield [(0, index) for index in range(start, min(start + self.batch_size, self.images))]

    def _starts(self) -> range:
        rank, count = self.part
        return range(rank * self.batch_size, self.images, count * self.batch_size)
