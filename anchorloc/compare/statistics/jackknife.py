"""How far a difference of two scores depends on the images, by the delete-a-group jackknife.

The images are dealt into K blocks, and every score is computed K times, each time without one block. Both sides lose
the same images, so what makes an image hard for both cancels. The spread of the K differences gives the variance of
the difference over sets of images (Shao and Tu, The Jackknife and Bootstrap, 1995, chapter 2.3).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from anchorloc.compare.statistics.students_t import critical_t, two_sided_p
from anchorloc.structures import Float64Array, IntArray

MAX_BLOCKS = 200  # more blocks cost time, and add degrees of freedom where Student's t hardly changes
ROUNDING = 1e-9  # a smaller standard error of a score is none
POWER_Z = 0.8416  # quantile of the normal distribution for a power of 80%


@dataclass(frozen=True, eq=False)
class LeftOutScores:
    """One score of the S files of one name: on all images, and without each block."""

    values: Float64Array  # (S,)
    left_out: Float64Array  # (K, S)


@dataclass(frozen=True)
class PairedDifference:
    """A difference of two scores on the same images, and its variance."""

    value: float
    image_variance: float  # over sets of as many images
    seed_variance: float  # over other trainings; 0 unless a side has several files
    freedom: float  # degrees of freedom of the whole variance

    @property
    def deviation(self) -> float:
        """Return the standard error; 0 where it is rounding alone."""
        error = float(np.sqrt(self.image_variance + self.seed_variance))
        return error if error > ROUNDING else 0.0

    def p(self) -> float:
        """Return the two-sided p of Student's t, 1 for equal scores.

        Where the difference is the same without any block, it is the p of the sign test: 2^(1 - blocks).
        """
        if self.value == 0:
            return 1.0
        return two_sided_p(self.value / self.deviation, self.freedom) if self.deviation else 2.0**-self.freedom

    def interval(self, level: float) -> tuple[float, float]:
        """Return the interval of confidence 1 - `level`."""
        half = critical_t(level, self.freedom) * self.deviation
        return self.value - half, self.value + half

    def images_factor(self, level: float) -> float | None:
        """Return how many times the images show a difference of this size at `level` with a power of 80%.

        None if no number of images does: the scores are equal, or the seeds alone vary too much.
        """
        if self.value and not self.deviation:
            return float(1 - np.log2(level)) / (self.freedom + 1)  # by the sign test
        affordable = (self.value / (critical_t(level, self.freedom) + POWER_Z)) ** 2 - self.seed_variance
        return self.image_variance / affordable if affordable > 0 else None


def deal_blocks(groups: IntArray) -> IntArray:
    """Return the block of each image (N,), from 0; images of one group share a block.

    Up to MAX_BLOCKS groups are a block each. More are dealt at random, always in the same way.

    Args:
        groups: (N,) the number of each image's group, from 0 without gaps.
    """
    count = int(groups.max(initial=-1)) + 1
    if count <= MAX_BLOCKS:
        return groups
    return np.asarray(np.random.default_rng(0).permutation(count)[groups] % MAX_BLOCKS, np.int64)


def left_out_weights(blocks: IntArray) -> Iterator[IntArray]:
    """Yield for each block the weights of the images (N,): 0 in the block, else 1."""
    for block in range(int(blocks.max(initial=-1)) + 1):
        yield (blocks != block).astype(np.int64)


def paired_difference(ours: LeftOutScores, theirs: LeftOutScores, informative: int) -> PairedDifference:
    """Return the difference of the mean scores of two names.

    The spread of the files of a name contains the interaction of files and images, which the image variance of the mean
    has too; it is counted once. A name with one file is taken as it is, without a variance over trainings.

    Args:
        ours: the scores of one name.
        theirs: the scores of the name that it is compared with, with the same blocks left out.
        informative: how many blocks hold a box that the score is about, at least 2; one less is the degrees of freedom.
    """
    mean = ours.left_out.mean(axis=1) - theirs.left_out.mean(axis=1)
    image = jackknife_variance(mean)
    seed, uncertainty = 0.0, image**2 / (informative - 1)
    for side in (ours, theirs):
        files = len(side.values)
        if files > 1:
            own = side.left_out - side.left_out.mean(axis=1, keepdims=True)
            interaction = sum(map(jackknife_variance, own.T)) / (files - 1)
            between = float(side.values.var(ddof=1))
            seed += max(0.0, between - interaction) / files
            uncertainty += (between / files) ** 2 / (files - 1)
    freedom = max(1.0, (image + seed) ** 2 / uncertainty) if uncertainty else float(informative - 1)
    return PairedDifference(float(ours.values.mean() - theirs.values.mean()), image, seed, freedom)


def jackknife_variance(left_out: Float64Array) -> float:
    """Return the variance of a score from its values without each block (K,)."""
    return float((len(left_out) - 1) * left_out.var())
