"""The images that make up a training picture, and where their boxes go, computed without pixels."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import numpy as np

from anchorloc.data.augment import Mosaic, log_uniform
from anchorloc.data.placement import Placement
from anchorloc.data.resize import resized
from anchorloc.data.source import Annotations
from anchorloc.data.transforms import Transform
from anchorloc.structures import Extent, IntArray, Scale, Size, Target

Placements = tuple[tuple[int, Placement], ...]  # index of an image in the split, and where its pixels go


@dataclass(frozen=True, eq=False)
class CanvasPlan:
    """A training picture of one image, or of the four images of a mosaic."""

    placements: Placements  # the first is the image that was asked for
    target: Target  # the M boxes to learn, in canvas pixels
    images: IntArray  # (M,) the image that each box comes from
    annotated_boxes: int  # boxes of all images, including those that cropping removes

    @property
    def canvas(self) -> Size:
        return self.placements[0][1].canvas

    @property
    def extent(self) -> Extent:
        """The part of the canvas that shows an image; a mosaic covers it all."""
        return self.placements[0][1].extent if len(self.placements) == 1 else (0, 0, *self.canvas)

    @property
    def scale(self) -> Scale:
        """Canvas pixels per pixel of the first image."""
        return self.placements[0][1].scale


def plan_canvas(transform: Transform, source: Annotations, index: int, random: Random | None) -> CanvasPlan:
    """Plan the picture of image `index`: augmented by `random`, or as in evaluation without it."""
    mosaic = transform.augment.mosaic
    if random is None or mosaic is None or random.random() >= mosaic.probability:
        target = source.training_target(index)
        mapped, placement = transform.boxes(source.size(index), target, random)
        return CanvasPlan(((index, placement),), mapped, np.full(len(mapped), index), len(target))
    placements = _draw_mosaic(transform, mosaic, source, index, random)
    targets = [source.training_target(image) for image, _ in placements]
    visible = [
        placement.map_target(target, transform.augment.min_visible)
        for (_, placement), target in zip(placements, targets, strict=True)
    ]
    images = np.repeat([image for image, _ in placements], [len(target) for target in visible])
    return CanvasPlan(placements, _concatenate(visible), images, sum(map(len, targets)))


def _draw_mosaic(transform: Transform, mosaic: Mosaic, source: Annotations, index: int, random: Random) -> Placements:
    factor = transform.augment.draw_size(random)
    height, width = resized(transform.resize(source.size(index))[0], factor)
    canvas = max(2, height), max(2, width)
    images = [index, *(int(random.random() * len(source)) for _ in range(3))]
    placements = []
    for image, quarter in zip(images, mosaic.draw_quarters(canvas, random), strict=True):
        zoom = factor * log_uniform(mosaic.zoom, random)
        placement = transform.draw_mosaic_placement(source.size(image), quarter, canvas, zoom, random)
        placements.append((image, placement))
    return tuple(placements)


def _concatenate(targets: list[Target]) -> Target:
    return Target(*(np.concatenate(columns) for columns in zip(*(vars(one).values() for one in targets), strict=True)))
