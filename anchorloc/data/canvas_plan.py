"""Which images a training picture is made of and where their boxes go, without pixels."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import numpy as np

from anchorloc.data.augment import Mosaic, log_uniform
from anchorloc.data.placement import Geometry
from anchorloc.data.resize import Scale, Size, resized
from anchorloc.data.source import Annotations
from anchorloc.data.transforms import Transform
from anchorloc.structures import IntArray, Target

Parts = tuple[tuple[int, Geometry], ...]


@dataclass(frozen=True, eq=False)
class Composition:
    """A picture made of one image, or of four."""

    parts: Parts  # (index in the split, where its pixels go); the first is the image that the picture stands for
    target: Target  # the M boxes to learn, in the pixels of the canvas
    images: IntArray  # (M,) the image that each box comes from
    annotated: int  # boxes of all parts before any was cut away

    @property
    def canvas(self) -> Size:
        """(height, width) of the picture."""
        return self.parts[0][1].canvas

    @property
    def scale(self) -> Scale:
        """(vertical, horizontal) pixels of the picture for one of the image that it stands for."""
        return self.parts[0][1].scale


def compose(transform: Transform, source: Annotations, index: int, random: Random | None) -> Composition:
    """Draw the picture that stands for image `index` in an epoch, as in evaluation if there is no `random`."""
    mosaic = transform.augment.mosaic
    if random is None or mosaic is None or random.random() >= mosaic.probability:
        target = source.training_target(index)
        mapped, geometry = transform.boxes(source.size(index), target, random)
        return Composition(((index, geometry),), mapped, np.full(len(mapped), index), len(target))
    parts = _quarters(transform, mosaic, source, index, random)
    targets = [source.training_target(place) for place, _ in parts]
    shown = [
        geometry.map_target(target, transform.augment.min_visible)
        for (_, geometry), target in zip(parts, targets, strict=True)
    ]
    images = np.repeat([place for place, _ in parts], [len(target) for target in shown])
    return Composition(parts, _joined(shown), images, sum(map(len, targets)))


def _quarters(transform: Transform, mosaic: Mosaic, source: Annotations, index: int, random: Random) -> Parts:
    factor = transform.augment.draw_size(random)
    height, width = resized(transform.resize(source.size(index))[0], factor)
    canvas = max(2, height), max(2, width)
    images = [index, *(int(random.random() * len(source)) for _ in range(3))]
    parts = []
    for image, (corner, room) in zip(images, mosaic.draw_rooms(canvas, random), strict=True):
        zoom = factor * log_uniform(mosaic.zoom, random)
        parts.append((image, transform.quarter(source.size(image), corner, room, canvas, zoom, random)))
    return tuple(parts)


def _joined(targets: list[Target]) -> Target:
    """Put the boxes of several images in one row."""
    return Target(*(np.concatenate(columns) for columns in zip(*(vars(one).values() for one in targets), strict=True)))
