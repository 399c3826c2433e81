"""The samples of an epoch. Each depends on (seed, epoch, index) alone."""

from __future__ import annotations

import numpy as np

from anchorloc.data.cache import ImageCache
from anchorloc.data.canvas_plan import plan_canvas
from anchorloc.data.custom_augmentation import augment_plan
from anchorloc.data.source import Source
from anchorloc.data.transforms import Transform, randomness
from anchorloc.errors import InputError
from anchorloc.structures import IMAGENET_MEAN, Color, Pixels, Sample


class Samples:
    """A dataset for a DataLoader: maps (epoch, index) to a Sample.

    No global random generator is used, so neither the number of workers nor a restart changes a sample. Images are
    augmented only if `training`; otherwise the epoch does not matter.
    """

    def __init__(
        self,
        source: Source,
        transform: Transform,
        seed: int = 0,
        training: bool = True,
        cache_bytes: int = 0,
        fill: Color = IMAGENET_MEAN,
    ) -> None:
        """Prepare the samples of `source`.

        Args:
            cache_bytes: memory for decoded and shrunk images; it does not change the samples.
            fill: color of canvas that no image covers.
        """
        self.source = source
        self.transform = transform
        self.seed = seed
        self.training = training
        self.fill = fill
        sizes = (transform.shrunk_size(source.size(index), training) for index in range(len(source)))
        self.cache = ImageCache(sizes, cache_bytes) if cache_bytes else None

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, key: tuple[int, int]) -> Sample:
        epoch, index = key
        random = randomness(self.seed, epoch, index) if self.training else None
        plan = plan_canvas(self.transform, self.source, index, random)
        parts = [(self._shrunk(image), placement) for image, placement in plan.placements]
        image = self.transform.render(parts, random, self.fill)
        if random is not None and (custom := self.transform.augment.custom) is not None:
            image, plan = augment_plan(custom, plan, image, self.transform.augment.min_visible, (self.seed, *key))
        return Sample(image, plan.target, self.source.image_id(index), plan.scale, self.source.size(index), plan.extent)

    def _shrunk(self, index: int) -> Pixels:
        cached = self.cache.get(index) if self.cache else None
        if cached is not None:
            return cached
        image = self.transform.shrink(self._read(index), self.training)
        if self.cache:
            self.cache.put(index, image)
        return image

    def _read(self, index: int) -> Pixels:
        """Return the pixels of an image, if they fit its size; boxes would be in the wrong place otherwise."""
        pixels, size = np.asarray(self.source.image(index)), self.source.size(index)
        if pixels.dtype != np.uint8 or pixels.shape != (*size, 3):
            raise InputError(
                f"image {index}, {self.source.name(index)}, has pixels {pixels.shape} {pixels.dtype}, but the data set "
                f"gives its size as {size}; return (height, width, 3) uint8 of that size"
            )
        return pixels
