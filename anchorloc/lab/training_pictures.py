"""Training pictures, augmented as the network gets them, with the anchors assigned to their boxes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from anchorloc.config import Config
from anchorloc.data import Samples, Source
from anchorloc.detector import learn_the_object, whole_image
from anchorloc.structures import AnchorGrid, Assignment, Sample


@dataclass(frozen=True, eq=False)
class TrainingPicture:
    """One picture as the network gets it, padded as if it were alone in its batch."""

    name: str  # of the image file
    sample: Sample
    grid: AnchorGrid
    assignment: Assignment


def training_pictures(config: Config, source: Source, count: int, epoch: int = 0) -> Iterator[TrainingPicture]:
    """Yield `count` pictures of an epoch, of images spread evenly over the split.

    Raises:
        InputError: an image cannot be read.
    """
    samples = Samples(source, config.transform, config.train.seed, fill=config.detector.fill)
    count = min(count, len(source))
    for place in range(count):
        index = place * len(source) // count
        sample = samples[epoch, index]
        height, width = (-(-side // config.multiple) * config.multiple for side in sample.image.shape[:2])
        yield TrainingPicture(source.name(index), sample, *_assigned(config, sample, (height, width)))


def _assigned(config: Config, sample: Sample, size: tuple[int, int]) -> tuple[AnchorGrid, Assignment]:
    boxes, crowd = sample.target.boxes, sample.target.crowd
    if config.localizer is not None:
        grid = whole_image(size)
        return grid, learn_the_object(grid, boxes, crowd)
    grid = config.anchors(size)
    return grid, config.initial_assigner(grid, boxes, crowd)
