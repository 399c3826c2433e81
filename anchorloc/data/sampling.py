"""How often each image is drawn in an epoch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anchorloc.data.source import Annotations
from anchorloc.errors import InputError
from anchorloc.structures import BoolArray, Float64Array, IntArray


@dataclass(frozen=True)
class EvenSampling:
    """Draw each image once per epoch."""

    def __call__(self, source: Annotations) -> None:
        """Return None: all images have the same weight."""


@dataclass(frozen=True)
class RepeatFactorSampling:
    """Draw images with rare classes more often (LVIS, arXiv:1908.03195, appendix B).

    A class in the fraction f of the images weighs max(1, sqrt(threshold / f)); an image weighs as its rarest class.
    """

    threshold: float = 0.1  # a class in a smaller fraction of the images is rare

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise InputError(f"threshold must be above 0 and at most 1, got {self.threshold}")

    def __call__(self, source: Annotations) -> Float64Array:
        """Return the (N,) weights of the images."""
        present = class_presence(source)
        fraction = np.maximum(present.mean(axis=0), 1 / len(present))  # (C,)
        factors = np.maximum(1.0, np.sqrt(self.threshold / fraction))
        weights: Float64Array = np.where(present, factors, 1.0).max(axis=1, initial=1.0)
        return weights


@dataclass(frozen=True)
class ClassBalancedSampling:
    """Draw a class, then an image that contains it, so that all classes are equally frequent.

    An image without a box is drawn as often as without this sampling.
    """

    def __call__(self, source: Annotations) -> Float64Array:
        """Return the (N,) weights of the images."""
        present = class_presence(source)
        annotated, counts = present.any(axis=1), present.sum(axis=0)
        classes = np.count_nonzero(counts)
        weights = np.where(present, 1 / np.maximum(counts, 1), 0.0).sum(axis=1) * annotated.sum() / max(1, classes)
        return np.where(annotated, weights, 1.0)


def class_presence(source: Annotations) -> BoolArray:
    """Return an (N, C) mask of the images with a box to learn of each class; crowd boxes do not count."""
    present = np.zeros((len(source), len(source.categories)), np.bool_)
    for index in range(len(source)):
        target = source.training_target(index)
        present[index, target.labels[~target.crowd]] = True
    return present


def times_drawn(weights: Float64Array, random: np.random.Generator) -> IntArray:
    """Return how often each of N images is drawn in an epoch of N, by systematic sampling with one random number.

    An image's share of the weights is rounded up or down at random, so that the mean over epochs is exact.
    """
    ends = np.cumsum(weights) * (len(weights) / weights.sum())
    ends[-1] = len(weights)
    times: IntArray = np.diff(np.floor(ends + random.random()).astype(np.int64), prepend=0)
    return times
