"""Split the variance of a mean over seeds into seeds, images and their interaction."""

from __future__ import annotations

from dataclasses import dataclass

from anchorloc.structures import Float64Array


@dataclass(frozen=True)
class VarianceComponents:
    """Variances of an AP, or of a difference of two, that each seed has on the same images."""

    seed: float  # between seeds
    image: float  # between sets of images, shared by all seeds
    interaction: float  # seed x image interaction
    seeds: int
    image_degrees_of_freedom: float  # degrees of freedom of `image`

    def variance(self, seeds: int | None = None) -> float:
        """Return the variance of the mean over `seeds` seeds (default: as measured) on equally many images."""
        count = self.seeds if seeds is None else seeds
        return self.seed / count + self.image + self.interaction / count

    def degrees_of_freedom(self, seeds: int | None = None) -> float:
        """Return the degrees of freedom of `variance`, at least 1 (Satterthwaite, 1946)."""
        count = self.seeds if seeds is None else seeds
        variance = self.variance(count)
        if variance == 0:
            return 1.0
        from_seeds = (self.seed + self.interaction) / count  # measured by the spread of the seeds
        from_images = self.image + self.interaction / count  # measured by the spread of the resamples
        return max(1.0, variance**2 / (from_seeds**2 / (count - 1) + from_images**2 / self.image_degrees_of_freedom))


def estimate_components(values: Float64Array, resampled: Float64Array, images: int) -> VarianceComponents:
    """Estimate the variance components.

    The spread of the seeds and the spread of the resampled means both contain the interaction; it is counted once.
    Resampling N images shows (N - 1) / N of their variance, and B resamples add B - 1 degrees of freedom.

    Args:
        values: (S,) of each seed, S at least 2.
        resampled: (B, S) of each seed on images drawn with replacement, the same images for all seeds.
        images: N, at least 2.
    """
    seeds, unbiased = len(values), images / (images - 1)
    means = resampled.mean(axis=1, keepdims=True)
    between, drawn = float(values.var(ddof=1)), float(means.var(ddof=1)) * unbiased
    interaction = float((resampled - means).var(axis=0, ddof=1).sum()) * unbiased / (seeds - 1)
    interaction = min(interaction, between, drawn * seeds)  # keeps every variance from going below 0
    freedom = 1 / (1 / (images - 1) + 1 / (len(resampled) - 1))
    return VarianceComponents(between - interaction, drawn - interaction / seeds, interaction, seeds, freedom)
