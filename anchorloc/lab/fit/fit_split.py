"""Choose the images that anchors are fitted to, and those they are scored on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anchorloc.config import Config
from anchorloc.data import Annotations, AnnotationSubset, CocoData, LabelData, match_categories
from anchorloc.data.label_data import open_all
from anchorloc.structures import BoolArray

HELD_OUT = 0.2  # share of the train images, where no val split can be scored on


@dataclass(frozen=True, eq=False)
class FitSplit:
    """The images to fit to, and the images to score on."""

    train: Annotations
    held_out: Annotations
    held_out_name: str  # such as "the val split"


def split_for_fit(config: Config, seed: int) -> FitSplit:
    """Return the train images and, to score on, the val split or a random share of the train images.

    The share is taken where the val split is missing, is the same file, or has no box.

    Raises:
        InputError: an annotation file breaks the data policy, or train and val have different classes.
    """
    train: Annotations
    problem = _val_problem(config)
    if not problem:
        train, val, _ = open_all(config.data)
        val = config.seen(match_categories(val, train.categories))
        if has_boxes(val).any():
            return FitSplit(train, val, "the val split")
        problem = "the val split has no box"
    else:
        train = config.data.open("train")
    usable = np.flatnonzero(has_boxes(train))
    count = round(HELD_OUT * len(usable))
    if not count:
        return FitSplit(train, train, f"the train images, so the score is too good ({problem}, and they are too few)")
    held = np.random.default_rng((seed, 0)).permutation(usable)[:count]
    rest = np.setdiff1d(np.arange(len(train)), held)
    fitted, scored = AnnotationSubset(train, rest), AnnotationSubset(train, np.sort(held))
    return FitSplit(fitted, scored, f"a random share of the train images ({problem})")


def has_boxes(annotations: Annotations) -> BoolArray:
    """Return for each image (N,) whether it has a trainable box."""
    targets = (annotations.training_target(index) for index in range(len(annotations)))
    return np.array([bool((~target.crowd).any()) for target in targets], np.bool_)


def _val_problem(config: Config) -> str:
    """Return why the val split cannot be used; "" if it can."""
    data = config.data
    if isinstance(data, CocoData | LabelData) and data.val == data.train:
        return "train and val are one annotation file"
    if not isinstance(data, CocoData):
        return ""
    return "" if (data.root / data.val).exists() else f"there is no {data.root / data.val}"
