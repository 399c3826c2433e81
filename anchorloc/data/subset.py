"""Select some images of a split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anchorloc.data.source import Annotations, Source
from anchorloc.errors import InputError
from anchorloc.structures import Category, IntArray, Pixels, Size, Target


@dataclass(frozen=True, eq=False)
class AnnotationSubset:
    """The annotations of some images of `source`, with all its categories: `Annotations`."""

    source: Annotations
    image_indices: IntArray  # (N,) indices of images of the source

    @property
    def categories(self) -> tuple[Category, ...]:
        return self.source.categories

    @property
    def warnings(self) -> tuple[str, ...]:
        return self.source.warnings

    def __len__(self) -> int:
        return len(self.image_indices)

    def target(self, index: int) -> Target:
        return self.source.target(int(self.image_indices[index]))

    def training_target(self, index: int) -> Target:
        return self.source.training_target(int(self.image_indices[index]))

    def image_id(self, index: int) -> int | str:
        return self.source.image_id(int(self.image_indices[index]))

    def size(self, index: int) -> Size:
        return self.source.size(int(self.image_indices[index]))

    def name(self, index: int) -> str:
        return self.source.name(int(self.image_indices[index]))

    def annotation_id(self, row: int) -> int | str:
        return self.source.annotation_id(row)


@dataclass(frozen=True, eq=False)
class Subset(AnnotationSubset):
    """Some images of `source`, with their pixels: a `Source`."""

    source: Source

    @property
    def fingerprint(self) -> str:
        return f"{self.source.fingerprint} {self.image_indices.tolist()}"

    def image(self, index: int) -> Pixels:
        return self.source.image(int(self.image_indices[index]))

    def check_images(self) -> tuple[str, ...]:
        """Return no warnings: the images were checked when they were selected."""
        return ()


def readable(source: Source) -> tuple[Subset, list[str]]:
    """Decode all images; return the subset that can be decoded, and an error message for each other image."""
    kept, broken = [], []
    for index in range(len(source)):
        try:
            source.image(index)
            kept.append(index)
        except InputError as error:
            broken.append(str(error))
    return Subset(source, np.array(kept, np.int64)), broken
