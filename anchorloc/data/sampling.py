"""How often each image is trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anchorloc.data.source import Annotations
from anchorloc.errors import InputError

Float64Array = NDArray[np.float64]


@dataclass(frozen=True)
class EvenSampling:
    """Every image once an epoch."""

    def __call__(self, source: Annotations) -> None:
        """No image weighs more than another."""


@dataclass(frozen=True)
class RepeatFactorSampling:
    """Images with rare classes more often (LVIS, arXiv:1908.03195, appendix B): an image weighs as its rarest class
    does, max(1, sqrt(threshold / f)), where f is the share of images that hold the class.
    """

    threshold: float = 0.1  # share of the images from which on a class is not rare

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise InputError(f"threshold must be above 0 and at most 1, got {self.threshold}")

    def __call__(self, source: Annotations) -> Float64Array:
        """Return the weights (N,) of the images."""
        holds = holdings(source)
        share = np.maximum(holds.mean(axis=0), 1 / len(holds))  # (C,)
        factors = np.maximum(1.0, np.sqrt(self.threshold / share))
        weights: Float64Array = np.where(holds, factors, 1.0).max(axis=1, initial=1.0)
        return weights


@dataclass(frozen=True)
class ClassBalancedSampling:
    """Every class as often: a class is drawn, then an image that holds it. An image without a box keeps its share."""

    def __call__(self, source: Annotations) -> Float64Array:
        """Return the weights (N,) of the images."""
        holds = holdings(source)
        busy, counts = holds.any(axis=1), holds.sum(axis=0)
        classes = np.count_nonzero(counts)
        weights = np.where(holds, 1 / np.maximum(counts, 1), 0.0).sum(axis=1) * busy.sum() / max(1, classes)
        return np.where(busy, weights, 1.0)


def holdings(source: Annotations) -> NDArray[np.bool_]:
    """Return (N, C) whether an image holds a box of a class to learn; crowds aside."""
    holds = np.zeros((len(source), len(source.categories)), np.bool_)
    for index in range(len(source)):
        target = source.training_target(index)
        holds[index, target.labels[~target.crowd]] = True
    return holds


def times_drawn(weights: Float64Array, random: np.random.Generator) -> NDArray[np.int64]:
    """Return how often each of N images comes in an epoch of N: its share of the weights, rounded up or down at
    random so that the mean over epochs is exact (systematic sampling: one draw for all).
    """
    ends = np.cumsum(weights) * (len(weights) / weights.sum())
    ends[-1] = len(weights)
    times: NDArray[np.int64] = np.diff(np.floor(ends + random.random()).astype(np.int64), prepend=0)
    return times
