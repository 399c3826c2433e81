"""Batch samplers: the order of samples depends on the seed and the step alone, so that a run can resume anywhere."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from anchorloc.data.sampling import times_drawn
from anchorloc.structures import Float64Array, IntArray, Size

WINDOW = 8  # batches whose images are sorted by shape together
COPY_OFFSET = 1 << 32  # more epochs than any run has
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class TrainBatchSampler:
    """Yield batches of (epoch, index) without end: each epoch is a permutation of all images.

    With `weights`, an epoch has as many images, drawn by weight. A batch may span two epochs, so every batch is full.
    With `shapes`, up to `WINDOW` batches in a row are sorted by shape and then shuffled as batches, so that less of a
    batch is padding.
    A second copy of an image in an epoch gets the number of a far later epoch, so that it is augmented differently.
    """

    images: int
    batch_size: int
    seed: int
    start: int = 0  # step of the first batch
    shard: tuple[int, int] = (0, 1)  # (rank, count) of this process: each process gets its share of every batch
    micro_batches: int = 1  # per process and step (gradient accumulation)
    weights: Float64Array | None = None  # (images,) expected draws per epoch; None: each image once

    shapes: IntArray | None = None  # (images,) rank of each image by shape; None: all have one shape

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        steps = max(1, min(WINDOW, self.images // self.batch_size))
        first, skipped = divmod(self.start, steps)
        keys = self._stream(first * steps * self.batch_size)
        rank, count = self.shard
        for window in itertools.count(first):
            for batch in self._window(window, list(itertools.islice(keys, steps * self.batch_size)))[skipped:]:
                mine = batch[rank::count]
                for place in range(self.micro_batches):
                    yield mine[place :: self.micro_batches]
            skipped = 0

    def _stream(self, position: int) -> Iterator[tuple[int, int]]:
        """Yield the pairs (epoch, index) of all epochs, one after the other, from `position` on."""
        first, skipped = divmod(position, self.images)
        for epoch in itertools.count(first):
            yield from map(tuple, self._keys(epoch)[skipped:].tolist())
            skipped = 0

    def _window(self, number: int, keys: list[tuple[int, int]]) -> list[list[tuple[int, int]]]:
        """Return the batches of a window: images of similar shape together, the batches in random order."""
        shapes = self.shapes
        if shapes is not None:
            keys = sorted(keys, key=lambda key: int(shapes[key[1]]))
        batches = [keys[start : start + self.batch_size] for start in range(0, len(keys), self.batch_size)]
        if shapes is None:
            return batches
        order = np.random.default_rng((self.seed, number, WINDOW)).permutation(len(batches))
        return [batches[place] for place in order]

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


def shape_ranks(sizes: Iterable[Size]) -> IntArray | None:
    """Return the rank (N,) of each size (height, width): upright ones last, then by the longer and the shorter side.

    None if all are equal.
    """
    keys = np.array([(height > width, max(height, width), min(height, width)) for height, width in sizes])
    distinct, ranks = np.unique(keys, axis=0, return_inverse=True)
    return ranks.reshape(-1) if len(distinct) > 1 else None


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
