"""Where the noise of a mean over seeds comes from: the seeds, the images, and what is peculiar to both together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64Array = NDArray[np.float64]


@dataclass(frozen=True)
class Components:
    """Variances of one quantity, an AP or a difference of two, of which each seed gives a value on the same images."""

    seed: float  # of one seed, beyond what the images do to it
    image: float  # of the images, alike for all seeds
    both: float  # of one seed on these images: what other images would have done to this seed alone
    seeds: int
    image_freedom: float  # degrees of freedom that `image` is known with

    def variance(self, seeds: int | None = None) -> float:
        """Return the variance of the mean over `seeds` (those there are) on as many images."""
        count = self.seeds if seeds is None else seeds
        return self.seed / count + self.image + self.both / count

    def freedom(self, seeds: int | None = None) -> float:
        """Return the degrees of freedom of `variance`, by Satterthwaite (1946), at least 1."""
        count = self.seeds if seeds is None else seeds
        variance = self.variance(count)
        if variance == 0:
            return 1.0
        from_seeds, from_images = (
            (self.seed + self.both) / count,
            self.image + self.both / count,
        )  # as both are measured
        return max(1.0, variance**2 / (from_seeds**2 / (count - 1) + from_images**2 / self.image_freedom))


def components(values: Float64Array, resampled: Float64Array, images: int) -> Components:
    """Estimate the variances.

    The spread of the seeds holds `both`, and so does that of the resampled means: it is counted once. Drawing from N
    images shows (N - 1) / N of their variance, and B draws know it with B - 1 degrees of freedom of their own.

    Args:
        values: (S,) of each seed, S at least 2.
        resampled: (B, S) of each seed on images drawn with replacement, the same images for all seeds.
        images: how many there are, at least 2.
    """
    seeds, unbiased = len(values), images / (images - 1)
    means = resampled.mean(axis=1, keepdims=True)
    between, drawn = float(values.var(ddof=1)), float(means.var(ddof=1)) * unbiased
    both = float((resampled - means).var(axis=0, ddof=1).sum()) * unbiased / (seeds - 1)
    both = min(both, between, drawn * seeds)  # so that no variance is below 0
    freedom = 1 / (1 / (images - 1) + 1 / (len(resampled) - 1))
    return Components(between - both, drawn - both / seeds, both, seeds, freedom)
