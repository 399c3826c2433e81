"""Runs whose images hold one object each."""

from __future__ import annotations

from collections.abc import Sequence

from anchorloc.config import Config
from anchorloc.data import Source
from anchorloc.errors import InputError
from anchorloc.metrics import Localization, localize
from anchorloc.structures import Detections
from anchorloc.text import counted


def refuse_other_counts(config: Config, source: Source, split: str) -> None:
    """For localization, make sure that every image has one object to learn, crowds aside.

    Raises:
        InputError: naming the first image that has more or fewer, and how many there are.
    """
    if config.task != "localization":
        return
    counts = [int((~source.training_target(index).crowd).sum()) for index in range(len(source))]
    wrong = [index for index, count in enumerate(counts) if count != 1]
    if wrong:
        first = wrong[0]
        more = f" (and {counted(len(wrong) - 1, 'such image', 'such images')} more)" if wrong[1:] else ""
        raise InputError(
            f"task=localization needs one usable box an image, but {split} image {source.image_id(first)}, "
            f"{source.name(first)}, has {counts[first]}{more}; leave such images out, or set task=detection"
        )


def localization_of(config: Config, detections: Sequence[Detections], source: Source) -> Localization | None:
    """Score the top boxes of all images of `source`; None where the task is another one."""
    if config.task != "localization":
        return None
    indices = range(len(source))
    targets = [source.training_target(index) for index in indices]
    return localize(targets, detections, [source.size(index) for index in indices])


def logged(found: Localization | None) -> dict[str, float]:
    """Return the numbers that a run logs at each validation."""
    if found is None:
        return {}
    return {
        "top1_loc_error": found.top1_loc_error,
        "corloc": found.corloc,
        "mean_iou": found.mean_iou,
        "constant_iou": found.constant_iou,
        "spread_ratio": found.spread_ratio,
        "collapsed": float(found.collapsed),
    }
