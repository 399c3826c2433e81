"""A split without some of its images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anchorloc.data.source import Source
from anchorloc.errors import InputError
from anchorloc.structures import Category, Target


@dataclass(frozen=True)
class Subset:
    """A `Source` of the images at the places `kept` of another, with all its classes."""

    source: Source
    kept: tuple[int, ...]

    @property
    def categories(self) -> tuple[Category, ...]:
        """Those of the source."""
        return self.source.categories

    @property
    def warnings(self) -> tuple[str, ...]:
        """Those of the source."""
        return self.source.warnings

    @property
    def fingerprint(self) -> str:
        """Another one for other annotations or images."""
        return f"{self.source.fingerprint} {self.kept}"

    def __len__(self) -> int:
        return len(self.kept)

    def target(self, index: int) -> Target:
        """Everything annotated."""
        return self.source.target(self.kept[index])

    def training_target(self, index: int) -> Target:
        """The boxes to learn."""
        return self.source.training_target(self.kept[index])

    def image_id(self, index: int) -> int | str:
        """The id that results carry."""
        return self.source.image_id(self.kept[index])

    def size(self, index: int) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.source.size(self.kept[index])

    def name(self, index: int) -> str:
        """The file name."""
        return self.source.name(self.kept[index])

    def annotation_id(self, row: int) -> int | str:
        """The id of an annotation of the source."""
        return self.source.annotation_id(row)

    def image(self, index: int) -> NDArray[np.uint8]:
        """(H, W, 3) RGB."""
        return self.source.image(self.kept[index])

    def check_images(self) -> tuple[str, ...]:
        """Nothing: whoever chose the images has looked at them."""
        return ()


def readable(source: Source) -> tuple[Subset, list[str]]:
    """Decode every image; return those that can be, and a sentence on each other."""
    kept, broken = [], []
    for index in range(len(source)):
        try:
            source.image(index)
            kept.append(index)
        except InputError as error:
            broken.append(str(error))
    return Subset(source, tuple(kept)), broken
