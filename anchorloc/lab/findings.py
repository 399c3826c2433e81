"""What a survey means, in sentences; a change that one names has been tried, and the figures are those of the trial."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from anchorloc.lab.anchor_coverage import Survey, share, survey
from anchorloc.lab.ceiling import Ceiling, ceiling
from anchorloc.lab.miss_causes import Cause
from anchorloc.lab.network_views import Views
from anchorloc.lab.suggestions import Remedy
from anchorloc.lab.weak_groups import LEAST_HELP, Trouble, troubles
from anchorloc.text import counted, percent


@dataclass(frozen=True)
class Finding:
    """One sentence, and the settings that do what it names."""

    sentence: str
    settings: tuple[str, ...] = ()


def coverage_findings(views: Views, found: Survey) -> list[Finding]:
    """Return what to know of the anchors on a split; `found` is the survey of `views`."""
    if not len(found.boxes):
        return [Finding("There is no box to learn, so there is nothing to find.")]
    return list(map(_trouble, troubles(views, found))) or [_no_trouble(found)]


def ceiling_findings(views: Views, limit: Ceiling) -> list[Finding]:
    """Return what the decoder loses; a setting that would change it is tried on the images that lose something."""
    return list(_losses(views, limit))


def coverage_sentence(views: Views, most: int = 1000) -> str:
    """Say how many boxes have an anchor, looking at so many images at most: the share is then known to a percent."""
    found = survey(views.spread(most), rescue_curve=False)
    boxes, lost = len(found.boxes), int((~found.boxes.learned).sum())
    where = f" in {found.images:,} of the images" if found.images < len(views) else ""
    return (
        f"anchors: {percent(found.assigned)} of {boxes:,} boxes{where} have one that learns them ({lost:,} have none)"
    )


def _no_trouble(found: Survey) -> Finding:
    return Finding(
        f"{percent(found.assigned)} of {len(found.boxes):,} boxes have an anchor that learns them, and "
        f"{percent(found.recall50)} one of IoU >= 0.5: no group of boxes stands out."
    )


def _trouble(trouble: Trouble) -> Finding:
    what, best, base = trouble.shortage.words, trouble.best, trouble.base
    part = percent(trouble.short / trouble.boxes)
    start = f"{trouble.short:,} of {trouble.boxes:,} {trouble.words} ({part}) have no {what}"
    if best is None:
        return Finding(f"{start}; with these settings there is no change to try.")
    if best.helped < LEAST_HELP:
        return Finding(f"{start}; no change that was tried gives one to more than {percent(best.helped)} of those.")
    now, then = (1 - share(trouble.shortage.mask(one.boxes)) for one in (base, best.survey))
    gain = f"would give one to {percent(best.helped)} of those without"
    whole = f"to {percent(then)} of all boxes in place of {percent(now)}"
    costs = [one.anchors / one.images for one in (base, best.survey)]
    price = f", at {costs[1]:,.0f} anchors an image in place of {costs[0]:,.0f}" if costs[0] != costs[1] else ""
    return Finding(f"{start}; {best.remedy.words} {gain}, and {whole}{price}.", best.remedy.settings)


def _losses(views: Views, limit: Ceiling) -> Iterator[Finding]:
    for cause, words, remedy in _decoder_remedies(views):
        lost = limit.causes == cause
        if lost.any():
            images = tuple(np.unique(limit.images[lost]).tolist())
            again = ceiling(replace(views, config=remedy.applied(views.config), chosen=images))
            found = int((~np.isin(limit.rows[lost], again.rows)).sum())
            start = f"A perfect network would lose {counted(int(lost.sum()), 'box', 'boxes')} to {words}"
            if found:
                yield Finding(f"{start}; {remedy.words} would find {found:,} more.", remedy.settings)


def _decoder_remedies(views: Views) -> tuple[tuple[Cause, str, Remedy], ...]:
    decode, coder = views.config.decode, views.config.coder
    iou, ratio = round(min(0.95, decode.nms_iou + 0.15), 2), 4 * coder.max_ratio
    candidates, most = decode.candidates, decode.max_detections
    return (
        (
            Cause.SUPPRESSED,
            f"a neighbor of the same class, at an IoU above decode.nms_iou={decode.nms_iou:g}",
            Remedy(f"{iou:g}", (f"decode.nms_iou={iou}",)),
        ),
        (
            Cause.CODER,
            f"the coder, at more than coder.max_ratio={coder.max_ratio:g} times the length of every anchor",
            Remedy(f"{ratio:g}", (f"coder.max_ratio={ratio:g}",)),
        ),
        (
            Cause.LIMIT,
            f"the limits of decode.candidates={candidates} a level and decode.max_detections={most} an image",
            Remedy("four times as many", (f"decode.candidates={4 * candidates}", f"decode.max_detections={4 * most}")),
        ),
    )
