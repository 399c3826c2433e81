"""Images to fit to, and others to score on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anchorloc.config import Config
from anchorloc.data import Annotations, CocoData
from anchorloc.structures import Category, IntArray, Target

HELD_OUT = 0.2  # of the train images, where there is no val split to score on


@dataclass(frozen=True, eq=False)
class Part:
    """Some images of a split: `Annotations`."""

    whole: Annotations
    indices: IntArray  # (N,)

    @property
    def categories(self) -> tuple[Category, ...]:
        """Those of the whole."""
        return self.whole.categories

    @property
    def warnings(self) -> tuple[str, ...]:
        """Those of the whole."""
        return self.whole.warnings

    def __len__(self) -> int:
        return len(self.indices)

    def target(self, index: int) -> Target:
        """Everything annotated, as it is."""
        return self.whole.target(int(self.indices[index]))

    def training_target(self, index: int) -> Target:
        """The boxes to learn."""
        return self.whole.training_target(int(self.indices[index]))

    def image_id(self, index: int) -> int | str:
        """The id that results carry."""
        return self.whole.image_id(int(self.indices[index]))

    def size(self, index: int) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.whole.size(int(self.indices[index]))

    def name(self, index: int) -> str:
        """The file name, for messages."""
        return self.whole.name(int(self.indices[index]))

    def annotation_id(self, row: int) -> int | str:
        """The id of an annotation."""
        return self.whole.annotation_id(row)


@dataclass(frozen=True, eq=False)
class Parts:
    """What is fitted to, and what is scored on."""

    train: Annotations
    held_out: Annotations
    source: str  # what the held-out images are, for people


def parts_of(config: Config, seed: int) -> Parts:
    """Take the val split of the data of `config`, or a seeded share of its train images where that has no box, is the
    same file, or is missing.

    Raises:
        InputError: an annotation file breaks the data policy, or there is no box to fit to.
    """
    train = config.data.open("train")
    missing = _missing(config)
    if not missing:
        val = config.data.open("val")
        if learnable(val).any():
            return Parts(train, val, "the val split")
        missing = "the val split has no box"
    busy = np.flatnonzero(learnable(train))
    count = round(HELD_OUT * len(busy))
    if not count:
        return Parts(train, train, f"the images fitted to, so the score is too good ({missing}, and they are too few)")
    held = np.random.default_rng((seed, 0)).permutation(busy)[:count]
    rest = np.setdiff1d(np.arange(len(train)), held)
    return Parts(Part(train, rest), Part(train, np.sort(held)), f"a seeded share of the train images ({missing})")


def learnable(annotations: Annotations) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """(N,) whether an image has a box to learn."""
    targets = (annotations.training_target(index) for index in range(len(annotations)))
    return np.array([bool((~target.crowd).any()) for target in targets], np.bool_)


def _missing(config: Config) -> str:
    """Why the val split cannot be used; empty if it can."""
    data = config.data
    if not isinstance(data, CocoData):
        return ""
    if data.val == data.train:
        return "there is one annotation file"
    return "" if (data.root / data.val).exists() else f"there is no {data.root / data.val}"
