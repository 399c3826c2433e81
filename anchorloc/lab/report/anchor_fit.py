"""What a fit of anchors found, for a terminal of 80 columns, for programs, and to paste."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from anchorloc.anchors import AnchorGenerator
from anchorloc.config import config_from_plain
from anchorloc.config.yaml import parse_yaml
from anchorloc.lab.anchor_coverage import RECALL_IOUS, Fate
from anchorloc.lab.fit import Fit
from anchorloc.lab.fit.scoring import INTERVAL, LEAST_BOXES, Score, Spread, class_losses, class_recalls
from anchorloc.lab.fit.selection import MOST_LOSS
from anchorloc.text import counted, percent, shorten, three_decimals

LEAST_DROP = 0.01  # of all boxes, to be told
MOST_LOSERS = 3


def anchors_block(anchors: AnchorGenerator) -> str:
    """Return the `anchors` lines of a config.

    Raises:
        AssertionError: they are not read back as the same shapes, which would be a bug.
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
    """Numbers on one line; a list of shapes for each level, on as many lines of 80 columns as it takes."""
    if not isinstance(value[0], list):
        return f" {value}"
    levels = [textwrap.wrap(str(shapes), 80, initial_indent="    - ", subsequent_indent=" " * 7) for shapes in value]
    return "\n".join(["", *(line for lines in levels for line in lines)])


def fit_lines(fit: Fit) -> Iterator[str]:
    """Yield the lines of a summary."""
    passes = f"{counted(fit.passes, 'augmented pass')} over" if fit.passes else "one pass, not augmented, over"
    searched = "" if fit.searched == fit.boxes else f"; the search looks at {fit.searched:,} of them"
    yield f"fitted to: {passes} {counted(fit.images, 'train image')},"
    yield f"{counted(fit.boxes, 'box')} met{searched}"
    held = fit.own.survey
    size = f"{counted(held.images, 'image')}, {counted(len(held.boxes), 'box')}"
    yield from textwrap.wrap(f"scored on: {fit.held_out}, as in evaluation: {size}", 80)
    yield ""
    yield from _comparison(fit)
    yield ""
    yield from _verdict(fit)
    yield _stability("restarts", fit.restarts)
    if fit.resamples is not None:
        yield _stability("resamples of train", fit.resamples)
    yield from _loss_lines(fit)
    yield ""
    yield from _levels(fit)


def _comparison(fit: Fit) -> Iterator[str]:
    rows: list[tuple[str, Callable[[Score], str]]] = [
        ("mean recall, IoU 0.50 to 0.90", lambda one: f"{one.recall:.3f}"),
        ("boxes with an anchor of IoU >= 0.5", lambda one: percent(one.survey.recall50)),
        (f"boxes that {type(fit.config.initial_assigner).__name__} assigns", lambda one: percent(one.survey.assigned)),
        ("boxes without an anchor", lambda one: f"{_without(one):,}"),
        ("  of them lost their anchors to others", lambda one: f"{one.survey.count(Fate.COLLISION):,}"),
        ("anchors in the mean image", lambda one: f"{one.anchors:,.0f}"),
    ]
    yield _row("", "own", "fitted")
    for what, figure in rows:
        yield _row(what, figure(fit.own), figure(fit.fitted))
    yield _row("AP50 of anchors that stay where they are", *map(three_decimals, fit.unmoved_ap50))
    if fit.augmented:
        yield _row("mean recall of boxes augmented as in training", *(f"{value:.3f}" for value in fit.augmented))


def _without(score: Score) -> int:
    return int((~score.survey.boxes.learned).sum())


def _row(what: str, own: str, fitted: str) -> str:
    return f"{what:<46}{own:>12}{fitted:>12}"


def _verdict(fit: Fit) -> Iterator[str]:
    """Whether to take the fitted anchors, and what they cost."""
    gain = fit.gain
    figures = f"gain {gain.value:+.3f}, {INTERVAL:.0%} interval {gain.low:+.3f} to {gain.high:+.3f}"
    if gain.within_noise:
        yield f"{figures} over images."
        yield "This is within noise: there is no reason to change the anchors of the config."
    elif gain.value < 0:
        yield f"{figures} over images."
        yield "The anchors of the config are better: keep them."
    else:
        yield f"{figures} over images: beyond noise."
        if costs := list(_costs(fit)):
            yield from textwrap.wrap(f"But it has a price: {'; '.join(costs)}. Weigh that before you change.", 80)


def _costs(fit: Fit) -> Iterator[str]:
    """What is worse with the fitted anchors, by more than chance and rounding make it."""
    own, fitted = fit.own.survey, fit.fitted.survey
    if own.recall50 - fitted.recall50 > LEAST_DROP:
        yield f"IoU >= 0.5 falls from {percent(own.recall50)} to {percent(fitted.recall50)}"
    if own.assigned - fitted.assigned > LEAST_DROP:
        yield f"boxes without an anchor rise from {_without(fit.own):,} to {_without(fit.fitted):,}"
    if losing := len(_losers(fit)):
        yield f"{counted(losing, 'class')} {'loses' if losing == 1 else 'lose'}"


def _stability(what: str, spread: Spread) -> str:
    low, high = min(spread.recalls), max(spread.recalls)
    alike = f", shapes alike to IoU {spread.likeness:.2f}" if len(spread.recalls) > 1 else ""
    return f"over {len(spread.recalls)} {what}: held-out recall {low:.3f} to {high:.3f}{alike}"


def _losers(fit: Fit) -> list[int]:
    """The classes that pay for the gain of others, the one that loses most first."""
    losses, counts = class_losses(fit.own, fit.fitted, len(fit.categories))
    losers = np.flatnonzero((losses > MOST_LOSS) & (counts >= LEAST_BOXES))
    return [int(label) for label in losers[np.argsort(-losses[losers], kind="stable")]]


def _loss_lines(fit: Fit) -> Iterator[str]:
    own, counts = class_recalls(fit.own, len(fit.categories))
    fitted, _ = class_recalls(fit.fitted, len(fit.categories))
    losers = _losers(fit)
    for label in losers[:MOST_LOSERS]:
        what = f"{shorten(fit.categories[label].name, 30)} ({counted(int(counts[label]), 'box')})"
        yield f"class that loses: {what}: {own[label]:.3f} to {fitted[label]:.3f}"
    if losers:
        yield "(--weight-by classes lets every class count alike; --shapes or --anchors give room)"


def _levels(fit: Fit) -> Iterator[str]:
    """The shapes of each level, and how much of the held-out work it does."""
    yield "stride   serves sqrt(area)   shapes   share of the positives"
    survey = fit.fitted.survey
    for level, work in enumerate(survey.work):
        low, high = fit.rule.band(level)
        band = f"{low:g} to {high:g} px" if math.isfinite(high) else f"from {low:g} px"
        share = int(work.sum()) / max(1, survey.positives)
        yield f"{fit.anchors.strides[level]:>6g}   {band:<17} {len(work):>8}   {share:>22.1%}"
    idle = [f"{fit.anchors.strides[level]:g}" for level, work in enumerate(survey.work) if not work.any()]
    if idle:
        sentence = f"No held-out box is learned at stride {', '.join(idle)}: such a level could be left out."
        yield from textwrap.wrap(sentence, 80)


def fit_record(fit: Fit, facts: dict[str, object]) -> dict[str, Any]:
    """Return everything in `fit.json`."""
    return {
        "anchors": {
            "strides": list(fit.anchors.strides),
            "shapes": [[list(shape) for shape in level] for level in fit.anchors.level_shapes],
        },
        "thresholds": list(RECALL_IOUS),
        "own": _score_record(fit.own),
        "fitted": _score_record(fit.fitted),
        "gain": {**vars(fit.gain), "interval": INTERVAL, "within_noise": fit.gain.within_noise},
        "unmoved_ap50": {"own": fit.unmoved_ap50[0], "fitted": fit.unmoved_ap50[1]},
        "augmented_recall": fit.augmented and {"own": fit.augmented[0], "fitted": fit.augmented[1]},
        "restarts": vars(fit.restarts),
        "resamples": fit.resamples and vars(fit.resamples),
        "rule": {"least_strides": fit.rule.least, "most_strides": fit.rule.most},
        "held_out": {"source": fit.held_out, "images": fit.own.survey.images, "boxes": len(fit.own.survey.boxes)},
        "train": {"images": fit.images, "passes": fit.passes, "boxes": fit.boxes, "searched": fit.searched},
        "facts": facts,
    }


def _score_record(score: Score) -> dict[str, Any]:
    survey = score.survey
    return {
        "mean_recall": score.recall,
        "recall50": survey.recall50,
        "assigned": survey.assigned,
        "without_an_anchor": _without(score),
        "collisions": survey.count(Fate.COLLISION),
        "anchors_per_image": score.anchors,
        "shapes_per_level": list(survey.config.anchors.shapes_per_level),
        "positives_per_shape": [level.tolist() for level in survey.work],
    }
