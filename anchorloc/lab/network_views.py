"""The boxes of a data set as the network meets them: through the real transforms, on the real grid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from anchorloc.config import Config
from anchorloc.data import Annotations, compose, randomness
from anchorloc.structures import AnchorGrid, IntArray, Target

MOST_GRIDS = 16  # kept, each with its A boxes; the padded sizes of a data set are few, or else each is met once


@dataclass(frozen=True, eq=False)
class View:
    """One image on its way to the network, padded as in a batch of its own."""

    epoch: int
    index: int  # of the image in its split
    target: Target  # what there is to learn (M boxes), in network pixels
    images: IntArray  # (M,) the image that each box comes from: a mosaic shows others too
    annotated: int  # boxes before augmentation has cut any away
    grid: AnchorGrid
    scale: tuple[float, float]  # (vertical, horizontal) network pixels for one of the image


@dataclass(frozen=True, eq=False)
class Views:
    """Images of a split: as in evaluation, or once in each of `epochs`, augmented as training would then."""

    config: Config
    source: Annotations
    epochs: int = 0
    chosen: tuple[int, ...] | None = None  # None is all of them

    @property
    def indices(self) -> Sequence[int]:
        """The images met in each epoch."""
        return range(len(self.source)) if self.chosen is None else self.chosen

    def spread(self, most: int) -> Views:
        """Return the views of at most so many images, spread evenly over the split."""
        count = len(self.source)
        if count <= most:
            return self
        return replace(self, chosen=tuple(int(index) for index in np.linspace(0, count - 1, most)))

    def __len__(self) -> int:
        return len(self.indices) * max(1, self.epochs)

    def __iter__(self) -> Iterator[View]:
        grid_of = lru_cache(MOST_GRIDS)(self._grid)
        for epoch in range(max(1, self.epochs)):
            for index in self.indices:
                random = randomness(self.config.train.seed, epoch, index) if self.epochs else None
                drawn = compose(self.config.transform, self.source, index, random)
                grid = grid_of(drawn.canvas)
                yield View(epoch, index, drawn.target, drawn.images, drawn.annotated, grid, drawn.scale)

    def _grid(self, canvas: tuple[int, int]) -> AnchorGrid:
        multiple = self.config.multiple
        return self.config.anchors([-(-side // multiple) * multiple for side in canvas])
