"""The samples of an epoch, each a function of (seed, epoch, index) alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anchorloc.data.cache import ImageCache
from anchorloc.data.canvas_plan import compose
from anchorloc.data.source import Source
from anchorloc.data.transforms import Transform, randomness
from anchorloc.structures import Sample


class Samples:
    """A map from (epoch, index) to a Sample, for a DataLoader whose sampler gives such pairs.

    No generator outside is used or moved, so neither the number of workers nor a restart changes a sample. With
    `training`, images are augmented; without, the epoch does not matter.
    """

    def __init__(
        self, source: Source, transform: Transform, seed: int = 0, training: bool = True, cache_bytes: int = 0
    ) -> None:
        """`cache_bytes` bounds the memory for decoded and shrunk images, which does not change the samples."""
        self.source = source
        self.transform = transform
        self.seed = seed
        self.training = training
        sizes = (transform.shrunk_size(source.size(index), training) for index in range(len(source)))
        self.cache = ImageCache(sizes, cache_bytes) if cache_bytes else None

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, key: tuple[int, int]) -> Sample:
        epoch, index = key
        random = randomness(self.seed, epoch, index) if self.training else None
        drawn = compose(self.transform, self.source, index, random)
        image = self.transform.render([(self._shrunk(part), geometry) for part, geometry in drawn.parts], random)
        return Sample(image, drawn.target, self.source.image_id(index), drawn.scale, self.source.size(index))

    def _shrunk(self, index: int) -> NDArray[np.uint8]:
        cached = self.cache.get(index) if self.cache else None
        if cached is not None:
            return cached
        image = self.transform.shrink(self.source.image(index), self.training)
        if self.cache:
            self.cache.put(index, image)
        return image
