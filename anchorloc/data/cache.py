"""A cache of decoded images that forked loader workers share."""

from __future__ import annotations

import mmap
from collections.abc import Iterable
from typing import Any

import numpy as np

from anchorloc.structures import Pixels, Size


class ImageCache:
    """A cache for the images of a data set, up to `limit` bytes; the first ones stay.

    The memory is anonymous and shared, so that forked workers fill it together; its pages are taken as they are
    filled. A process that is spawned gets an empty cache of its own.
    """

    def __init__(self, sizes: Iterable[Size], limit: int) -> None:
        """Prepare for images of the given sizes, 3 bytes a pixel."""
        self.sizes = np.array(list(sizes), np.int64).reshape(-1, 2)
        ends = np.cumsum(self.sizes.prod(axis=1) * 3)
        self.count = int(np.searchsorted(ends, limit, side="right"))  # number of images that fit
        self.starts = np.concatenate([[0], ends[: self.count]])
        self._allocate()

    def get(self, index: int) -> Pixels | None:
        """Return a copy of an image, or None if it is not cached."""
        if index >= self.count or not self._filled[index]:
            return None
        return self._slot(index).copy()

    def put(self, index: int, image: Pixels) -> None:
        """Keep an image, if the cache has space for it."""
        if index < self.count:
            self._slot(index)[:] = image
            self._filled[index] = 1  # after the pixels, because another worker may read them

    def _allocate(self) -> None:
        flags = max(self.count, 1)
        memory = mmap.mmap(-1, flags + int(self.starts[-1]))
        self._filled = np.frombuffer(memory, np.uint8, flags)
        self._pixels = np.frombuffer(memory, np.uint8, offset=flags)

    def _slot(self, index: int) -> Pixels:
        height, width = self.sizes[index]
        return self._pixels[self.starts[index] : self.starts[index + 1]].reshape(height, width, 3)

    def __getstate__(self) -> dict[str, Any]:
        return {"sizes": self.sizes, "count": self.count, "starts": self.starts}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._allocate()
