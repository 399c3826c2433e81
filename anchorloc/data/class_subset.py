"""Select some classes of a split."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from anchorloc.data.class_names import Sides, match_names
from anchorloc.data.source import Source
from anchorloc.structures import Category, IntArray, Pixels, Size, Target


@dataclass(frozen=True, eq=False)
class ClassSubset:
    """All images of `source`, with the boxes of the classes `categories` only, matched by name: a `Source`."""

    source: Source
    categories: tuple[Category, ...]  # may have classes that the source lacks
    sides: Sides  # names of `categories` and of the source, for messages

    @property
    def warnings(self) -> tuple[str, ...]:
        return self.source.warnings

    @property
    def fingerprint(self) -> str:
        return f"{self.source.fingerprint} {[category.name for category in self.categories]}"

    def __len__(self) -> int:
        return len(self.source)

    def target(self, index: int) -> Target:
        return self._kept(self.source.target(index))

    def training_target(self, index: int) -> Target:
        return self._kept(self.source.training_target(index))

    def image_id(self, index: int) -> int | str:
        return self.source.image_id(index)

    def size(self, index: int) -> Size:
        return self.source.size(index)

    def name(self, index: int) -> str:
        return self.source.name(index)

    def annotation_id(self, row: int) -> int | str:
        return self.source.annotation_id(row)

    def image(self, index: int) -> Pixels:
        return self.source.image(index)

    def check_images(self) -> tuple[str, ...]:
        return self.source.check_images()

    def _kept(self, target: Target) -> Target:
        labels = self.labels[target.labels]
        return replace(target, labels=labels).take(labels >= 0)

    @cached_property
    def labels(self) -> IntArray:
        """Return the new label of each class of the source (C,), -1 for a class that is left out.

        Raises:
            InputError: a name that decides belongs to several classes.
        """
        labels = np.full(len(self.source.categories), -1)
        for label, place in enumerate(match_names(self.categories, self.source.categories, self.sides)):
            if place is not None:
                labels[place] = label
        return labels
