"""Which sample comes when: a function of the seed and the position, and of nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anchorloc.data.sampling import times_drawn

COPY = 1 << 32  # epochs ahead: further than any run gets


@dataclass(frozen=True, eq=False)
class TrainBatchSampler:
    """An endless stream of batches of (epoch, index), epoch after epoch, each a permutation of all images, or of as
    many drawn by `weights`.

    A batch may span two epochs, so every batch is full and the stream can be entered at any step. A further copy of an
    image in one epoch is numbered as of an epoch far ahead, so that it is augmented in another way.
    """

    images: int
    batch_size: int
    seed: int
    start: int = 0  # the first step that is given
    part: tuple[int, int] = (0, 1)  # (rank, count): every batch is dealt out to so many processes
    pieces: int = 1  # in which a process gets what is its own of a batch, one after the other
    weights: NDArray[np.float64] | None = None  # (images,) how often each comes; None is once an epoch

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        position = self.start * self.batch_size
        epoch, keys = -1, np.empty((0, 2), np.int64)
        rank, count = self.part
        while True:
            batch = []
            for place in range(position, position + self.batch_size):
                if place // self.images != epoch:
                    epoch = place // self.images
                    keys = self._keys(epoch)
                turn, index = keys[place % self.images].tolist()
                batch.append((turn, index))
            mine = batch[rank::count]
            for piece in range(self.pieces):
                yield mine[piece :: self.pieces]
            position += self.batch_size

    def _keys(self, epoch: int) -> NDArray[np.int64]:
        """Return the (images, 2) pairs of an epoch, (epoch, index)."""
        random = np.random.default_rng((self.seed, epoch))
        permutation = random.permutation(self.images)
        if self.weights is None:
            return np.column_stack([np.full(self.images, epoch), permutation])
        times = times_drawn(self.weights, random)
        drawn = np.repeat(np.arange(self.images), times)
        copies = np.arange(self.images) - np.repeat(np.cumsum(times) - times, times)
        return np.column_stack([epoch + copies * COPY, drawn])[permutation]


@dataclass(frozen=True)
class ValidationBatchSampler:
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
