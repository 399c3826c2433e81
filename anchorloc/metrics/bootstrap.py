"""How far COCO's numbers would move with other images: a bootstrap over images."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np

from anchorloc.metrics.box_tables import Float64Array
from anchorloc.metrics.matching import AREAS, IOU_THRESHOLDS, Outcomes
from anchorloc.metrics.weighted_ap import Curves, weighted_curves
from anchorloc.structures import IntArray

CONFIDENCE: Final = 0.95


@dataclass(frozen=True)
class Interval:
    """Where the number lies in 95 of 100 sets of so many images, to be read about the number itself."""

    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Intervals of COCO's numbers; None where some resample has nothing to find."""

    resamples: int
    seed: int
    summary: dict[str, Interval | None]  # under the names of `Summary.named`
    classes: tuple[Interval | None, ...]  # of AP


def bootstrap(
    outcomes: Outcomes,
    limits: Sequence[int],
    resamples: int = 1000,
    seed: int = 0,
    threads: int = 1,
) -> Bootstrap:
    """Draw as many images as there are, with replacement, again and again.

    What it tells of is the choice of test images alone: not what another training seed would change. AP of a resample
    is too high on average, since copies of an image agree; so an interval is the spread of the resamples about their
    own mean, laid about the number of the images themselves (the pivot of Davison and Hinkley, Bootstrap Methods,
    1997, without their correction of the bias, which would leave the number outside).

    Args:
        outcomes: in the slices of `coco_slices`.
        limits: as `max_detections` of `evaluate`.
    """

    def numbers(weights: IntArray) -> tuple[Float64Array, Float64Array]:
        curves = weighted_curves(outcomes, weights, limits)
        return np.array(list(named_numbers(curves, limits).values())), _known_mean(curves.ap[:, 0], 1)

    _ = outcomes.tallies  # made once, before the threads ask for them
    with ThreadPoolExecutor(max(1, threads)) as pool:
        drawn = list(pool.map(numbers, image_weights(outcomes.image_count, resamples, seed)))
    whole = weighted_curves(outcomes, limits=limits)
    named, means = named_numbers(whole, limits), _known_mean(whole.ap[:, 0], 1)
    summary = np.array([row for row, _ in drawn]).reshape(-1, len(named))
    classes = np.array([row for _, row in drawn]).reshape(len(drawn), outcomes.classes)
    return Bootstrap(
        resamples,
        seed,
        {name: pivot(value, column) for (name, value), column in zip(named.items(), summary.T, strict=True)},
        tuple(map(pivot, means.tolist(), classes.T)),
    )


def image_weights(images: int, resamples: int, seed: int) -> list[IntArray]:
    """Return how often each of N images is drawn, for every resample; the same seed and N give the same draws."""
    random = np.random.default_rng(seed)
    return [
        np.bincount(random.integers(0, images, images), minlength=images) for _ in range(resamples if images else 0)
    ]


def named_numbers(curves: Curves, limits: Sequence[int]) -> dict[str, float]:
    """Return COCO's numbers from the curves of `coco_slices`, NaN where there is nothing to find."""
    ap, last = curves.ap, curves.recall[..., -1]
    at = {name: slice_ for slice_, name in enumerate(AREAS)}
    sizes = {"s": at["small"], "m": at["medium"], "l": at["large"]}
    values = {
        "AP": ap[:, 0],
        "AP50": ap[:, 0, IOU_THRESHOLDS.index(0.5)],
        "AP75": ap[:, 0, IOU_THRESHOLDS.index(0.75)],
        **{f"AP{letter}": ap[:, place] for letter, place in sizes.items()},
        **{f"AR{limit}": curves.recall[:, 0, :, place] for place, limit in enumerate(limits)},
        **{f"AR{letter}": last[:, place] for letter, place in sizes.items()},
    }
    return {name: float(_known_mean(value)) for name, value in values.items()}


def _known_mean(values: Float64Array, axis: int | None = None) -> Float64Array:
    """The mean of what is not -1, or NaN."""
    known = values > -1
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(known, values, 0).sum(axis) / known.sum(axis))


def pivot(value: float, resampled: Float64Array) -> Interval | None:
    """Return the interval about `value` that the numbers of the resamples (R,) give, within 0 and 1."""
    if not len(resampled) or np.isnan(resampled).any():
        return None
    low, high = np.quantile(resampled - resampled.mean(), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(float(max(0, value - high)), float(min(1, value - low)))
