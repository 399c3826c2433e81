"""Select some images of a split."""

from __future__ import annotations

from dataclasses import dataclass

from anchorloc.data.source import Annotations, Source
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
