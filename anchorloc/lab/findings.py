"""Report the weak points of anchors and decoder in sentences; the figures of a suggested change are measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from anchorloc.anchors import AnchorGenerator
from anchorloc.lab.anchor_coverage import AnchorCoverage, fraction_true
from anchorloc.lab.ceiling import Ceiling, ceiling
from anchorloc.lab.miss_causes import MissCause
from anchorloc.lab.network_views import NetworkViews
from anchorloc.lab.suggestions import ConfigChange
from anchorloc.lab.weak_groups import MIN_FIXED_FRACTION, WeakGroup, weak_groups
from anchorloc.text import counted, percent


@dataclass(frozen=True)
class Finding:
    """One sentence, and the settings of the change that it suggests."""

    sentence: str
    settings: tuple[str, ...] = ()


def coverage_findings(coverage: AnchorCoverage) -> list[Finding]:
    """Return which groups of boxes the anchors cover badly, and what would help."""
    if not len(coverage.boxes):
        return [Finding("The split has no box to train on.")]
    return list(map(_weak_group, weak_groups(coverage))) or [_no_weak_group(coverage)]


def ceiling_findings(views: NetworkViews, limit: Ceiling) -> list[Finding]:
    """Return the boxes that the decoder loses, and settings that find them, tried on the images that lose boxes."""
    return list(_decoder_misses(views, limit))


def coverage_sentence(coverage: AnchorCoverage, images: int) -> str:
    """Return how many boxes have a positive anchor; `images` are in the split, some of which were looked at."""
    boxes = len(coverage.boxes)
    where = f" in {coverage.images:,} of the images" if coverage.images < images else ""
    share = f" ({percent(coverage.assigned)})" if coverage.unassigned else ""
    return f"{boxes - coverage.unassigned:,} of {boxes:,} boxes{where} have a positive anchor{share}"


def _no_weak_group(coverage: AnchorCoverage) -> Finding:
    return Finding(
        f"{percent(coverage.assigned)} of {len(coverage.boxes):,} boxes have a positive anchor, and "
        f"{percent(coverage.recall50)} an anchor of IoU >= 0.5."
    )


def _weak_group(group: WeakGroup) -> Finding:
    best, before = group.best, group.before
    share = percent(group.uncovered / group.boxes)
    start = (
        f"{share} of {group.phrase} ({group.uncovered:,} of {group.boxes:,}) have no {group.criterion.phrase}: "
        f"{group.cause}."
    )
    if best is None or best.fixed_fraction < MIN_FIXED_FRACTION:
        return Finding(f"{start} {_other_change(group)}")
    now, then = (percent(1 - fraction_true(group.criterion.uncovered(one.boxes))) for one in (before, best.coverage))
    fixed = percent(best.fixed_fraction)
    change = best.change.phrase[0].upper() + best.change.phrase[1:]
    gain = f"{change} would give one to {fixed} of them. Coverage of all boxes would change from {now} to {then}."
    anchors = [one.anchors_per_image for one in (before, best.coverage)]
    cost = f" The anchors per image would change from {anchors[0]:,.0f} to {anchors[1]:,.0f}."
    return Finding(f"{start} {gain}{cost if anchors[0] != anchors[1] else ''}", best.change.settings)


def _other_change(group: WeakGroup) -> str:
    """Say what to do where no single change of the anchors helps."""
    anchors = group.before.config.anchors
    if not isinstance(anchors, AnchorGenerator):
        return (
            f"The shapes of anchors.kind={type(anchors).__name__} are fixed: resize images so that the boxes get the "
            "size of the anchors (transform.resize), or train a config with anchors.kind=AnchorGenerator."
        )
    return (
        f"No single change of the anchors helps at least {percent(MIN_FIXED_FRACTION)} of them: `anchorloc lab fit` "
        "searches all shapes together, and transform.resize sets the size of the boxes."
    )


def _decoder_misses(views: NetworkViews, limit: Ceiling) -> Iterator[Finding]:
    for cause, words, change in _decoder_changes(views):
        missed = limit.causes == cause
        if missed.any():
            images = tuple(np.unique(limit.images[missed]).tolist())
            again = ceiling(replace(views, config=change.apply(views.config), image_indices=images))
            found = int((~np.isin(limit.rows[missed], again.rows)).sum())
            boxes = counted(int(missed.sum()), "box")
            if found:
                sentence = f"A perfect network would miss {boxes} {words}; {change.phrase} would find {found:,} more."
                yield Finding(sentence, change.settings)


def _decoder_changes(views: NetworkViews) -> tuple[tuple[MissCause, str, ConfigChange], ...]:
    decode, coder = views.config.decode, views.config.coder
    iou, ratio = round(min(0.95, decode.nms_iou + 0.15), 2), 4 * coder.max_ratio
    topk, most = decode.topk_candidates, decode.max_detections
    return (
        (
            MissCause.SUPPRESSED,
            f"that NMS suppresses for a neighbor of the same class (decode.nms_iou={decode.nms_iou:g})",
            ConfigChange(f"{iou:g}", (f"decode.nms_iou={iou}",)),
        ),
        (
            MissCause.CODER,
            f"longer than coder.max_ratio={coder.max_ratio:g} times each of their anchors",
            ConfigChange(f"{ratio:g}", (f"coder.max_ratio={ratio:g}",)),
        ),
        (
            MissCause.LIMIT,
            f"beyond decode.topk_candidates={topk} per {decode.topk_per} or decode.max_detections={most} per image",
            ConfigChange(
                "limits four times as high", (f"decode.topk_candidates={4 * topk}", f"decode.max_detections={4 * most}")
            ),
        ),
    )
