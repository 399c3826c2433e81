"""How often each image is drawn in an epoch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anchorloc.data.source import Annotations
from anchorloc.errors import InputError
from anchorloc.structures import Float64Array, IntArray


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
        images, labels = class_presence(source)
        counts = np.bincount(labels, minlength=len(source.categories))  # (C,)
        factors = np.maximum(1.0, np.sqrt(self.threshold * len(source) / np.maximum(counts, 1)))
        weights = np.ones(len(source))
        np.maximum.at(weights, images, factors[labels])
        return weights


@dataclass(frozen=True)
class ClassBalancedSampling:
    """Draw a class, then an image that contains it, so that all classes are equally frequent.

    An image without a box is drawn as often as without this sampling.
    """

    def __call__(self, source: Annotations) -> Float64Array:
        """Return the (N,) weights of the images."""
        images, labels = class_presence(source)
        counts = np.bincount(labels, minlength=len(source.categories))  # (C,)
        annotated = np.bincount(images, minlength=len(source)) > 0  # (N,)
        shares = np.bincount(images, 1 / counts[labels], len(source))
        return np.where(annotated, shares * annotated.sum() / max(1, np.count_nonzero(counts)), 1.0)


def class_presence(source: Annotations) -> tuple[IntArray, IntArray]:
    """Return (image, label) of each class that an image has a box to learn of, once each (P,), in ascending order.

    Crowd boxes do not count. A mask of images by classes would take 1 GB for 100,000 images of 10,000 classes.
    """
    targets = [source.training_target(index) for index in range(len(source))]
    labels = [np.unique(target.labels[~target.crowd]) for target in targets]
    images = np.repeat(np.arange(len(source)), [len(some) for some in labels])
    return images, np.concatenate([np.zeros(0, np.int64), *labels])


def times_drawn(weights: Float64Array, random: np.random.Generator) -> IntArray:
    """Return how often each of N images is drawn in an epoch of N, by systematic sampling with one random number.

    An image's share of the weights is rounded up or down at random, so that the mean over epochs is exact.
    """
    ends = np.cumsum(weights) * (len(weights) / weights.sum())
    ends[-1] = len(weights)
    times: IntArray = np.diff(np.floor(ends + random.random()).astype(np.int64), prepend=0)
    return times
