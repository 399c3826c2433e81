"""Training pictures, augmented as the network gets them, with the anchors assigned to their boxes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from anchorloc.config import Config
from anchorloc.data import Samples, Source
from anchorloc.structures import AnchorGrid, Assignment, Sample


@dataclass(frozen=True, eq=False)
class TrainingPicture:
    """One picture as the network gets it, padded as if it were alone in its batch."""

    name: str  # name of the image file
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
        grid = config.method.grid(config.padded(sample.image.shape[:2]))
        assignment = config.method.assigner(grid, sample.target.boxes, sample.target.crowd)
        yield TrainingPicture(source.name(index), sample, grid, assignment)
