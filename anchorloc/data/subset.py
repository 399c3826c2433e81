"""A split without some of its images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anchorloc.data.source import Annotations, Source
from anchorloc.errors import InputError
from anchorloc.structures import Category, IntArray, Target


@dataclass(frozen=True, eq=False)
class AnnotationSubset:
    """`Annotations` of the images at the places `kept`, (N,), of others, with all their classes."""

    source: Annotations
    kept: IntArray

    @property
    def categories(self) -> tuple[Category, ...]:
        return self.source.categories

    @property
    def warnings(self) -> tuple[str, ...]:
        return self.source.warnings

    def __len__(self) -> int:
        return len(self.kept)

    def target(self, index: int) -> Target:
        """Everything annotated."""
        return self.source.target(int(self.kept[index]))

    def training_target(self, index: int) -> Target:
        """The boxes to learn."""
        return self.source.training_target(int(self.kept[index]))

    def image_id(self, index: int) -> int | str:
        """The id that results carry."""
        return self.source.image_id(int(self.kept[index]))

    def size(self, index: int) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.source.size(int(self.kept[index]))

    def name(self, index: int) -> str:
        """The file name."""
        return self.source.name(int(self.kept[index]))

    def annotation_id(self, row: int) -> int | str:
        """The id of an annotation of the source."""
        return self.source.annotation_id(row)


@dataclass(frozen=True, eq=False)
class Subset(AnnotationSubset):
    """The same with images: a `Source`."""

    source: Source

    @property
    def fingerprint(self) -> str:
        """Another one for other annotations or images."""
        return f"{self.source.fingerprint} {self.kept.tolist()}"

    def image(self, index: int) -> NDArray[np.uint8]:
        """(H, W, 3) RGB."""
        return self.source.image(int(self.kept[index]))

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
    return Subset(source, np.array(kept, np.int64)), broken
