"""The boxes of a data set as the network meets them: through the real transforms, on the real grid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from anchorloc.config import Config
from anchorloc.data import Annotations, Augment, randomness
from anchorloc.structures import AnchorGrid, Target

MOST_GRIDS = 16  # kept, each with its A boxes; the padded sizes of a data set are few, or else each is met once


@dataclass(frozen=True, eq=False)
class View:
    """One image on its way to the network, padded as in a batch of its own."""

    epoch: int
    index: int  # of the image in its split
    target: Target  # what there is to learn, in network pixels
    grid: AnchorGrid
    scale: tuple[float, float]  # (vertical, horizontal) network pixels for one of the image


@dataclass(frozen=True, eq=False)
class Views:
    """All images of a split: as in evaluation, or once in each of `epochs`, augmented as training would then."""

    config: Config
    source: Annotations
    epochs: int = 0

    def __len__(self) -> int:
        return len(self.source) * max(1, self.epochs)

    def __iter__(self) -> Iterator[View]:
        grid_of = lru_cache(MOST_GRIDS)(self._grid)
        for epoch in range(max(1, self.epochs)):
            for index in range(len(self.source)):
                random = randomness(self.config.train.seed, epoch, index) if self.epochs else None
                target = self.source.training_target(index)
                target, geometry = self.config.transform.boxes(self.source.size(index), target, random)
                yield View(epoch, index, target, grid_of(geometry.canvas), geometry.scale)

    def of(self, config: Config) -> Views:
        """Return the views of the same images under other settings."""
        return replace(self, config=config)

    def _grid(self, canvas: tuple[int, int]) -> AnchorGrid:
        multiple = self.config.multiple
        return self.config.anchors([-(-side // multiple) * multiple for side in canvas])


def moves_boxes(augment: Augment) -> bool:
    """Whether two epochs may show the boxes of an image at different places."""
    return augment != replace(augment, horizontal_flip=0.0, vertical_flip=0.0, scale_jitter=(1.0, 1.0))
