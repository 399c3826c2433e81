"""The images to look at: the worst and the best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from anchorloc.data import Source
from anchorloc.metrics import Evaluation
from anchorloc.metrics.analysis import Analysis
from anchorloc.report.picture import Picture, pick_pictures
from anchorloc.structures import Detections

MOST = 9  # pictures of each kind


def best_and_worst(
    source: Source, detections: Sequence[Detections], evaluation: Evaluation, analysis: Analysis
) -> tuple[list[Picture], list[str]]:
    """Return the images of least F1 (of equals, those of most errors), then those of greatest (of most boxes).

    A sentence comes with each image on the way that cannot be read.
    """
    wrong = [one for one in analysis.images if one.errors]
    found = [one for one in analysis.images if one.found or not one.errors]
    worst = [one.index for one in sorted(wrong, key=lambda one: (one.f1, -one.errors))]
    pictures, problems = pick_pictures(source, detections, evaluation, MOST, worst)
    shown = set(worst[: len(pictures) + len(problems)])
    best = [one.index for one in sorted(found, key=lambda one: (-one.f1, -one.boxes)) if one.index not in shown]
    more, troubles = pick_pictures(source, detections, evaluation, MOST, best)
    groups = (("Worst", pictures), ("Best", more))
    return [replace(picture, group=group) for group, some in groups for picture in some], [*problems, *troubles]
