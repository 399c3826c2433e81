"""Batch samplers: the order of samples depends on the seed and the step alone, so that a run can resume anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from anchorloc.data.sampling import times_drawn
from anchorloc.structures import Float64Array, Size

COPY_OFFSET = 1 << 32  # more epochs than any run has
T = TypeVar("T")


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


@dataclass(frozen=True, eq=False)
class ValidationBatchSampler:
    """Yield the `batches` of image indices as batches of (0, index).

    Several processes take turns with the batches that one process would get, so that results do not depend on their
    number.
    """

    batches: Sequence[Sequence[int]]
    shard: tuple[int, int] = (0, 1)  # (rank, count) of this process

    def __len__(self) -> int:
        return len(self._mine())

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for batch in self._mine():
            yield [(0, index) for index in batch]

    def _mine(self) -> Sequence[Sequence[int]]:
        rank, count = self.shard
        return self.batches[rank::count]


def equal_size_batches(sizes: Iterable[Size], batch_size: int) -> list[list[int]]:
    """Return batches of the indices of `sizes`: at most `batch_size` of one size, sizes in the order they appear."""
    by_size: dict[Size, list[int]] = {}
    for index, size in enumerate(sizes):
        by_size.setdefault(size, []).append(index)
    return [
        group[start : start + batch_size] for group in by_size.values() for start in range(0, len(group), batch_size)
    ]


def in_image_order(batches: Sequence[Sequence[int]], results: Sequence[Sequence[T]]) -> list[T]:
    """Return the results of the images, given batch by batch, in the order of the images."""
    found = {
        index: result
        for batch, of_batch in zip(batches, results, strict=True)
        for index, result in zip(batch, of_batch, strict=True)
    }
    return [found[index] for index in sorted(found)]
