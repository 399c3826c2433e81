"""Bootstrap over images: 95% confidence intervals of COCO's numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from typing import Final

import numpy as np

from anchorloc.metrics.evidence import NO_WIDTH, too_few_of_each
from anchorloc.metrics.matching import AREAS, MatchResult
from anchorloc.metrics.protocol import COCO, Protocol
from anchorloc.metrics.weighted_ap import WeightedScores, in_lanes, scores_of_sets, weighted_scores
from anchorloc.structures import BoolArray, Float64Array, IntArray

CONFIDENCE: Final = 0.95
SIZE_SLICES: Final = {size[0]: place for place, size in enumerate(AREAS) if place}  # by the last letter of a name


@dataclass(frozen=True)
class Interval:
    """A confidence interval of CONFIDENCE."""

    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Intervals of COCO's numbers.

    None where a number rests on under 10 boxes or under 10 images with one, where some resample has no box to find, or
    where all resamples agree: their width of 0 would claim certainty.
    """

    resamples: int
    seed: int
    summary: dict[str, Interval | None]  # keys as in `CocoSummary.named`
    classes: tuple[Interval | None, ...]  # AP of each class


def bootstrap(
    match_result: MatchResult,
    limits: Sequence[int],
    resamples: int = 1000,
    seed: int = 0,
    threads: int = 1,
    protocol: Protocol = COCO,
    groups: IntArray | None = None,
) -> Bootstrap:
    """Resample the images with replacement and return an interval of every number.

    The intervals cover the choice of test images only, not the seed of a training. AP of a resample is too high on
    average, since copies of an image agree. So the interval is the spread of the resamples about their own mean, placed
    about the number of the images themselves (Davison and Hinkley, Bootstrap Methods, 1997, without their correction of
    the bias, which would leave the number outside).

    Args:
        match_result: with the slices of `coco_slices`.
        limits: as `max_detections` of `evaluate`.
        resamples: how many.
        seed: of the draws.
        threads: that share the resamples.
        protocol: whose IoU thresholds the match has, and whose slices.
        groups: (N,) the number of each image's group, from 0 without gaps; groups are drawn as a whole. Without them
            each image is one.
    """

    class_count = match_result.classes
    labels, match_result = match_result.scored_classes()

    def numbers(sets: Sequence[IntArray]) -> list[tuple[Float64Array, Float64Array]]:
        return [
            (np.array(list(coco_numbers(scores, limits, protocol).values())), class_ap(scores))
            for scores in scores_of_sets(match_result, sets, limits)
        ]

    _ = match_result.accumulation_index  # made here, before several threads need it
    with ThreadPoolExecutor(max(1, threads)) as pool:
        units = np.arange(match_result.image_count) if groups is None else groups
        weights = (drawn_units[units] for drawn_units in image_weights(int(units.max(initial=-1)) + 1, resamples, seed))
        drawn = list(chain.from_iterable(pool.map(numbers, in_lanes(weights))))
    whole = weighted_scores(match_result, limits=limits)
    named, means = coco_numbers(whole, limits, protocol), class_ap(whole)
    summary = np.array([row for row, _ in drawn]).reshape(-1, len(named))
    classes = np.array([row for _, row in drawn]).reshape(len(drawn), len(labels))
    few, few_of_class = _too_few(match_result, units)
    intervals = {
        label: None if lacking else basic_interval(value, column)
        for label, value, column, lacking in zip(
            labels.tolist(), means.tolist(), classes.T, few_of_class.tolist(), strict=True
        )
    }
    return Bootstrap(
        resamples,
        seed,
        {
            name: None if few[SIZE_SLICES.get(name[-1], 0)] else basic_interval(value, column)
            for (name, value), column in zip(named.items(), summary.T, strict=True)
        },
        tuple(map(intervals.get, range(class_count))),
    )


def _too_few(match_result: MatchResult, units: IntArray) -> tuple[BoolArray, BoolArray]:
    """Return which slices (S,) and which classes (C,) have too few boxes or `units` (N,) of images for an interval."""
    images, labels = units[match_result.truth_images], match_result.truth_labels
    none = np.zeros(len(images), np.int64)
    slices = [too_few_of_each(images[mine], none[mine], 1)[0] for mine in match_result.countable_boxes]
    mine = match_result.countable_boxes[0]
    return np.array(slices), too_few_of_each(images[mine], labels[mine], match_result.classes)


def image_weights(images: int, resamples: int, seed: int | tuple[int, ...] = 0) -> Iterator[IntArray]:
    """Yield for each resample how many times each image is drawn (N,); the same seed and N give the same draws."""
    random = np.random.default_rng(seed)
    for _ in range(resamples if images else 0):
        yield np.bincount(random.integers(0, images, images), minlength=images)


def coco_numbers(scores: WeightedScores, limits: Sequence[int], protocol: Protocol = COCO) -> dict[str, float]:
    """Return COCO's numbers from scores in the slices of `coco_slices`, NaN where no box is to find.

    AP50 and AP75 are NaN where the protocol, at whose IoU thresholds the scores are, lacks their threshold.
    """
    known = scores.ap[..., 0] > -1  # (C, S): the class has a box to find in the slice
    with np.errstate(invalid="ignore"):  # 0 / 0 where no class has one
        ap = np.where(known[..., None], scores.ap, 0).sum(axis=0) / known.sum(axis=0)[:, None]  # (S, T)
        recall = np.where(known[..., None, None], scores.recall, 0).sum(axis=0) / known.sum(axis=0)[:, None, None]

    def at(iou: float) -> float:
        place = protocol.place(iou)
        return np.nan if place is None else float(ap[0, place])

    values = {
        "AP": ap[0].mean(),
        "AP50": at(0.5),
        "AP75": at(0.75),
        **{f"AP{letter}": ap[place].mean() for letter, place in SIZE_SLICES.items()},
        **{f"AR{limit}": recall[0, :, place].mean() for place, limit in enumerate(limits)},
        **{f"AR{letter}": recall[place, :, -1].mean() for letter, place in SIZE_SLICES.items()},
    }
    return {name: float(value) for name, value in values.items()}


def basic_interval(value: float, resampled: Float64Array) -> Interval | None:
    """Return the interval of `value`, within 0 and 1, from values of resamples (R,); None if it has no width."""
    if not len(resampled) or np.isnan(resampled).any():
        return None
    low, high = np.quantile(resampled - resampled.mean(), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    if high - low < NO_WIDTH:
        return None
    return Interval(float(max(0, value - high)), float(min(1, value - low)))


def class_ap(scores: WeightedScores) -> Float64Array:
    """Return the AP of each class (C,), NaN where it has no box to find."""
    ap = scores.ap[:, 0].mean(axis=1)
    return np.where(ap > -1, ap, np.nan)
