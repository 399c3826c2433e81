"""Batch samplers: the order of samples depends on the seed and the step alone, so that a run can resume anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anchorloc.data.sampling import times_drawn
from anchorloc.structures import Float64Array

COPY_OFFSET = 1 << 32  # more epochs than any run has


@dataclass(frozen=True, eq=False)
class TrainBatchSampler:
    """Yield batches of (epoch, index) without end: each epoch is a permutation of all images.

    With `weights`, an epoch has as many images, drawn by weight. A batch may span two epochs, so every batch is full.
    A second copy of an image in an epoch gets the number of a far later epoch, so that it is augmented differently.
    """

    images: int
    batch_size: int
    seed: int
    start: int = 0  # step of the first batch
    shard: tuple[int, int] = (0, 1)  # (rank, count) of this process: each process gets its share of every batch
    micro_batches: int = 1  # per process and step (gradient accumulation)
    weights: Float64Array | None = None  # (images,) expected draws per epoch; None: each image once

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        position = self.start * self.batch_size
        epoch, keys = -1, np.empty((0, 2), np.int64)
        rank, count = self.shard
        while True:
            batch = []
            for place in range(position, position + self.batch_size):
                if place // self.images != epoch:
                    epoch = place // self.images
                    keys = self._keys(epoch)
                turn, index = keys[place % self.images].tolist()
                batch.append((turn, index))
            mine = batch[rank::count]
            for place in range(self.micro_batches):
                yield mine[place :: self.micro_batches]
            position += self.batch_size

    def _keys(self, epoch: int) -> NDArray[np.int64]:
        """Return the (images, 2) pairs (epoch, index) of an epoch."""
        random = np.random.default_rng((self.seed, epoch))
        permutation = random.permutation(self.images)
        if self.weights is None:
            return np.column_stack([np.full(self.images, epoch), permutation])
        times = times_drawn(self.weights, random)
        drawn = np.repeat(np.arange(self.images), times)
        copies = np.arange(self.images) - np.repeat(np.cumsum(times) - times, times)
        return np.column_stack([epoch + copies * COPY_OFFSET, drawn])[permutation]


@dataclass(frozen=True)
class ValidationBatchSampler:
    """Yield every image once, in order, as batches of (0, index).

    Several processes take turns with the batches that one process would get, so that results do not depend on their
    number.
    """

    images: int
    batch_size: int
    shard: tuple[int, int] = (0, 1)  # (rank, count) of this process

    def __len__(self) -> int:
        return len(self._starts())

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for start in self._starts():
            yield [(0, index) for index in range(start, min(start + self.batch_size, self.images))]

    def _starts(self) -> range:
        rank, count = self.shard
        return range(rank * self.batch_size, self.images, count * self.batch_size)
