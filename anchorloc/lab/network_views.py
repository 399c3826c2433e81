"""Show images of a split as the network gets them: boxes after the real transforms, and the real anchor grid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from anchorloc.config import Config
from anchorloc.data import Annotations, Source, plan_canvas, randomness
from anchorloc.data.custom_augmentation import augment_plan
from anchorloc.structures import AnchorGrid, Assignment, Extent, IntArray, Sample, Size, Target

MAX_GRIDS = 16  # cached: a data set has few padded sizes, or else uses each of them once


@dataclass(frozen=True, eq=False)
class NetworkView:
    """The boxes and the anchors of one image, padded as if it were alone in its batch."""

    epoch: int
    index: int  # index of the image in its split
    target: Target  # the M trainable boxes, in network pixels
    images: IntArray  # (M,) the image each box comes from: a mosaic has boxes of several images
    annotated_boxes: int  # boxes before augmentation removed any
    grid: AnchorGrid
    scale: tuple[float, float]  # (vertical, horizontal) network pixels per image pixel
    extent: Extent  # the part of the padded image that shows the image


@dataclass(frozen=True, eq=False)
class NetworkViews:
    """The images of a split: once as in evaluation, or once in each of `epochs` with the augmentation of training."""

    config: Config
    source: Annotations
    epochs: int = 0
    image_indices: tuple[int, ...] | None = None  # indices; None is all images

    @property
    def indices(self) -> Sequence[int]:
        """Return the images of each epoch."""
        return range(len(self.source)) if self.image_indices is None else self.image_indices

    def subset(self, most: int) -> NetworkViews:
        """Return the views of at most `most` images, spread evenly over the split."""
        indices = self.indices
        if len(indices) <= most:
            return self
        return replace(
            self, image_indices=tuple(indices[int(place)] for place in np.linspace(0, len(indices) - 1, most))
        )

    def __len__(self) -> int:
        return len(self.indices) * max(1, self.epochs)

    def __iter__(self) -> Iterator[NetworkView]:
        grid_of, augment = lru_cache(MAX_GRIDS)(self._grid), self.config.transform.augment
        for epoch in range(max(1, self.epochs)):
            for index in self.indices:
                random = randomness(self.config.train.seed, epoch, index) if self.epochs else None
                drawn = plan_canvas(self.config.transform, self.source, index, random)
                if random is not None and (custom := augment.custom) is not None:
                    key = (self.config.train.seed, epoch, index)
                    _, drawn = augment_plan(custom, drawn, None, augment.min_visible, key)
                yield NetworkView(
                    epoch,
                    index,
                    drawn.target,
                    drawn.images,
                    drawn.annotated_boxes,
                    grid_of(drawn.canvas).within(drawn.extent),
                    drawn.scale,
                    drawn.extent,
                )

    def _grid(self, canvas: Size) -> AnchorGrid:
        return self.config.method.grid(self.config.padded(canvas))


@dataclass(frozen=True, eq=False)
class TrainingPicture:
    """The pixels, boxes and assigned anchors of one training image, padded as if it were alone in its batch."""

    name: str  # name of the image file
    sample: Sample
    grid: AnchorGrid
    assignment: Assignment


def training_pictures(config: Config, source: Source, count: int, epoch: int = 0) -> Iterator[TrainingPicture]:
    """Yield `count` pictures of an epoch, of images spread evenly over the split.

    Raises:
        InputError: an image cannot be read.
    """
    samples = config.samples(source, training=True)
    count = min(count, len(source))
    for place in range(count):
        index = place * len(source) // count
        sample = samples[epoch, index]
        grid = config.method.grid(config.padded(sample.image.shape[:2])).within(sample.extent)
        assignment = config.method.untrained_assigner(grid, sample.target.boxes, sample.target.crowd)
        yield TrainingPicture(source.name(index), sample, grid, assignment)
