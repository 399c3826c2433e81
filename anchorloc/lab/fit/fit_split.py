"""Images to fit to, and others to score on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anchorloc.config import Config
from anchorloc.data import Annotations, AnnotationSubset, CocoData

HELD_OUT = 0.2  # of the train images, where there is no val split to score on


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
    fitted, scored = AnnotationSubset(train, rest), AnnotationSubset(train, np.sort(held))
    return Parts(fitted, scored, f"a seeded share of the train images ({missing})")


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
