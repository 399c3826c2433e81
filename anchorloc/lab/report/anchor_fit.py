"""Report an anchor fit: on a terminal of 80 columns, as JSON, and as a block to paste into a config."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from anchorloc.anchors import AnchorGenerator
from anchorloc.config import config_from_plain
from anchorloc.config.yaml import parse_yaml
from anchorloc.lab.anchor_coverage import RECALL_IOUS, AnchorCoverage, BoxStatus
from anchorloc.lab.fit import Fit
from anchorloc.lab.fit.scoring import CONFIDENCE, FitSpread, RecallGain, class_recalls, losing_classes
from anchorloc.metrics.evidence import MIN_BOXES, MIN_IMAGES
from anchorloc.text import counted, percent, shorten, three_decimals

MIN_DROP = 0.01  # share of all boxes, from which a drop is reported
MAX_LOSING = 3  # classes listed


def anchors_block(anchors: AnchorGenerator) -> str:
    """Return the `anchors` lines of a config.

    Raises:
        AssertionError: reading the lines back gives other shapes, which would be a bug.
    """
    strides = [int(stride) if stride == int(stride) else stride for stride in anchors.strides]
    settings: dict[str, Any] = {"strides": strides}
    if anchors.shapes is not None:
        settings["shapes"] = [[list(shape) for shape in level] for level in anchors.shapes]
    else:
        settings |= {"scales": list(anchors.scales), "height_to_width": list(anchors.height_to_width)}
    lines = (f"  {key}:{_flow(value)}" for key, value in settings.items())
    text = "\n".join(["anchors:", *lines]) + "\n"
    back = config_from_plain(parse_yaml(text, "the block"), "the block").anchors
    assert isinstance(back, AnchorGenerator), text
    assert (back.level_shapes, back.strides) == (anchors.level_shapes, tuple(strides)), text
    return text


def _flow(value: list[Any]) -> str:
    """Return numbers as one line of YAML, and lists of shapes as lines of 80 columns, one or more per level."""
    if not isinstance(value[0], list):
        return f" {value}"
    levels = [textwrap.wrap(str(shapes), 80, initial_indent="    - ", subsequent_indent=" " * 7) for shapes in value]
    return "\n".join(["", *(line for lines in levels for line in lines)])


def fit_lines(fit: Fit) -> Iterator[str]:
    """Yield the lines of the terminal summary."""
    passes = f"{counted(fit.passes, 'augmented pass', 'augmented passes')} over" if fit.passes else "one pass over"
    searched = "" if fit.searched == fit.boxes else f"; the search uses {fit.searched:,} of them"
    sample = ", a sample spread evenly" if fit.sampled else ""
    yield f"fitted to: {passes} {counted(fit.images, 'train image', 'train images')}{sample},"
    yield f"with {counted(fit.boxes, 'box')}{searched}"
    size = f"{counted(fit.current.images, 'image')}, {counted(len(fit.current.boxes), 'box')}"
    yield from textwrap.wrap(f"scored on: {fit.held_out}, as in evaluation: {size}", 80)
    yield ""
    yield from _comparison(fit)
    yield ""
    yield from _advice(fit)
    yield _stability("restarts", fit.restarts)
    if fit.resamples is not None:
        yield _stability("resamples of train", fit.resamples)
    yield from _losing_lines(fit)
    yield ""
    yield from _levels(fit)


def _comparison(fit: Fit) -> Iterator[str]:
    rows: list[tuple[str, Callable[[AnchorCoverage], str]]] = [
        ("mean recall, IoU 0.50 to 0.90", lambda one: f"{one.mean_recall:.3f}"),
        ("boxes with an anchor of IoU >= 0.5", lambda one: percent(one.recall50)),
        (f"boxes {type(fit.config.assign).__name__} assigns", lambda one: percent(one.assigned)),
        ("boxes without a positive anchor", lambda one: f"{one.unassigned:,}"),
        ("  because other boxes have their anchors", lambda one: f"{one.count(BoxStatus.COLLISION):,}"),
        ("anchors in the mean image", lambda one: f"{one.anchors_per_image:,.0f}"),
    ]
    yield _row("", "current", "fitted")
    for what, figure in rows:
        yield _row(what, figure(fit.current), figure(fit.fitted))
    yield _row("AP50 of anchors as boxes, perfectly classified", *map(three_decimals, fit.anchors_only_ap50))
    if fit.augmented:
        yield _row("mean recall of boxes augmented as in training", *(f"{value:.3f}" for value in fit.augmented))


def _row(what: str, current: str, fitted: str) -> str:
    return f"{what:<46}{current:>12}{fitted:>12}"


def _advice(fit: Fit) -> Iterator[str]:
    """Yield whether to take the fitted anchors, and what gets worse with them."""
    gain = fit.gain
    figures = f"gain {gain.value:+.3f}, {_interval(gain)}"
    if gain.few:
        yield f"gain {gain.value:+.3f}, without an interval: too little held-out data."
        yield f"Under {MIN_BOXES} boxes or {MIN_IMAGES} images show no reason to change the anchors: label more."
    elif gain.within_noise:
        yield f"{figures}."
        yield "This is within noise: there is no reason to change the anchors of the config."
    elif gain.value < 0:
        yield f"{figures}."
        yield "The anchors of the config are better: keep them."
    else:
        yield f"{figures}: beyond noise."
        if costs := list(_costs(fit)):
            yield from textwrap.wrap(f"What gets worse: {'; '.join(costs)}. Check this before you change.", 80)


def _interval(gain: RecallGain) -> str:
    if gain.low is None or gain.high is None:
        return "the same in every resample of the images"
    return f"{CONFIDENCE:.0%} interval {gain.low:+.3f} to {gain.high:+.3f} over images"


def _costs(fit: Fit) -> Iterator[str]:
    """Yield what is worse with the fitted anchors, beyond chance and rounding."""
    current, fitted = fit.current, fit.fitted
    if current.recall50 - fitted.recall50 > MIN_DROP:
        yield f"IoU >= 0.5 falls from {percent(current.recall50)} to {percent(fitted.recall50)}"
    if current.assigned - fitted.assigned > MIN_DROP:
        yield f"boxes without a positive anchor rise from {current.unassigned:,} to {fitted.unassigned:,}"
    if losing := len(_losing_classes(fit)):
        yield f"{counted(losing, 'class')} {'loses' if losing == 1 else 'lose'} recall"


def _stability(what: str, spread: FitSpread) -> str:
    low, high = min(spread.recalls), max(spread.recalls)
    alike = f", shape IoU {spread.shape_similarity:.2f}" if len(spread.recalls) > 1 else ""
    return f"over {len(spread.recalls)} {what}: held-out recall {low:.3f} to {high:.3f}{alike}"


def _losing_classes(fit: Fit) -> list[int]:
    """Return the classes that lose recall, the greatest loss first."""
    losses, mask = losing_classes(fit.current, fit.fitted)
    losing = np.flatnonzero(mask)
    return [int(label) for label in losing[np.argsort(-losses[losing], kind="stable")]]


def _losing_lines(fit: Fit) -> Iterator[str]:
    current, counts = class_recalls(fit.current)
    fitted, _ = class_recalls(fit.fitted)
    losing = _losing_classes(fit)
    for label in losing[:MAX_LOSING]:
        what = f"{shorten(fit.categories[label].shown_name, 30)} ({counted(int(counts[label]), 'box')})"
        yield f"class that loses recall: {what}: {current[label]:.3f} to {fitted[label]:.3f}"
    if losing:
        yield "(try --weight-by classes, or more anchors with --shapes or --anchors)"


def _levels(fit: Fit) -> Iterator[str]:
    """Yield the number of shapes of each level, and its share of the held-out positives."""
    yield "stride   serves sqrt(area)   shapes   share of the positives"
    for level, positives in enumerate(fit.fitted.positives_per_shape):
        low, high = fit.sizes.of_level(level)
        sizes = f"{low:g} to {high:g} px" if math.isfinite(high) else f"from {low:g} px"
        share = int(positives.sum()) / max(1, fit.fitted.positives)
        yield f"{fit.anchors.strides[level]:>6g}   {sizes:<17} {len(positives):>8}   {share:>22.1%}"
    unused = [level for level, positives in enumerate(fit.fitted.positives_per_shape) if not positives.any()]
    if unused:
        strides = ", ".join(f"{fit.anchors.strides[level]:g}" for level in unused)
        sentence = f"No held-out box has a positive anchor at stride {strides}: consider removing the level."
        yield from textwrap.wrap(sentence, 80)


def fit_json(fit: Fit, facts: dict[str, object]) -> dict[str, Any]:
    """Return the content of `fit.json`."""
    return {
        "anchors": {
            "strides": list(fit.anchors.strides),
            "shapes": [[list(shape) for shape in level] for level in fit.anchors.level_shapes],
        },
        "thresholds": list(RECALL_IOUS),
        "current": _coverage_json(fit.current),
        "fitted": _coverage_json(fit.fitted),
        "gain": {**vars(fit.gain), "interval": CONFIDENCE, "within_noise": fit.gain.within_noise, "few": fit.gain.few},
        "anchors_only_ap50": {"current": fit.anchors_only_ap50[0], "fitted": fit.anchors_only_ap50[1]},
        "augmented_recall": fit.augmented and {"current": fit.augmented[0], "fitted": fit.augmented[1]},
        "restarts": vars(fit.restarts),
        "resamples": fit.resamples and vars(fit.resamples),
        "level_sizes": {"min_strides": fit.sizes.min_strides, "max_strides": fit.sizes.max_strides},
        "held_out": {"source": fit.held_out, "images": fit.current.images, "boxes": len(fit.current.boxes)},
        "train": {
            "images": fit.images,
            "sampled": fit.sampled,
            "passes": fit.passes,
            "boxes": fit.boxes,
            "searched": fit.searched,
        },
        "facts": facts,
    }


def _coverage_json(coverage: AnchorCoverage) -> dict[str, Any]:
    return {
        "mean_recall": coverage.mean_recall,
        "recall50": coverage.recall50,
        "assigned": coverage.assigned,
        "unassigned": coverage.unassigned,
        "collisions": coverage.count(BoxStatus.COLLISION),
        "anchors_per_image": coverage.anchors_per_image,
        "shapes_per_level": list(coverage.config.anchors.shapes_per_level),
        "positives_per_shape": [level.tolist() for level in coverage.positives_per_shape],
    }
