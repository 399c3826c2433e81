"""A lab report as one HTML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anchorloc.lab.anchor_coverage import CURVE_IOUS, Fate, Survey
from anchorloc.lab.ceiling import Ceiling
from anchorloc.lab.groups import SIZES, groupings, shares, size_by_level
from anchorloc.lab.inspection import Inspection
from anchorloc.lab.miss_causes import Cause
from anchorloc.lab.report.charts import scaled_shapes, scatter
from anchorloc.lab.report.record import BOX_HEADER, box_rows
from anchorloc.lab.report.words import CAUSES, anchors_line, numbers, passes, split_words
from anchorloc.report.chart import Chart, DrawnChart, draw_chart
from anchorloc.report.html import render
from anchorloc.report.page import aspect_of
from anchorloc.report.picture import DrawnPicture
from anchorloc.text import shorten

MOST_LISTED = 200  # boxes without an anchor; boxes.csv has them all
MOST_GROUPS = 100  # rows of one table


def render_lab_page(
    inspections: Sequence[Inspection], title: str, pictures: Sequence[DrawnPicture], facts: Mapping[str, object]
) -> str:
    """Return the whole page."""
    first = inspections[0]
    lost = [row for one in inspections for fate in (Fate.NO_ANCHOR, Fate.COLLISION) for row in box_rows(one, fate)]
    return render(
        "lab/report/page.html",
        title,
        facts,
        [warning for one in inspections for warning in one.views.source.warnings],
        sizes=anchors_line(first.survey.config),
        splits=[(shorten(one.name), passes(one), numbers(one)) for one in inspections],
        findings=[(split_words(inspections, one), finding) for one in inspections for finding in one.findings],
        falls=[Fall.of(shorten(one.name), one.ceiling) for one in inspections if one.ceiling is not None],
        charts=[chart for chart in (_recall(inspections), _best(inspections)) if chart is not None],
        heats=[Heat.of(shorten(one.name), one.survey) for one in inspections if len(one.survey.boxes)],
        divisions=_divisions(inspections),
        scatter=scatter(first.survey),
        shapes=scaled_shapes(first.survey),
        work=_work(inspections),
        names=[shorten(one.name) for one in inspections],
        pictures=pictures,
        aspect=aspect_of(pictures),
        header=BOX_HEADER[:10],
        lost=[row[:10] for row in lost[:MOST_LISTED]],
        lost_count=len(lost),
    )


@dataclass(frozen=True)
class Fall:
    """From all boxes down to those that a perfect network finds."""

    name: str
    boxes: int
    steps: list[tuple[str, str, int, float, float]]  # (cause, meaning, boxes, start, width), the last two in percent

    @classmethod
    def of(cls, split: str, limit: Ceiling) -> Fall:
        """Lay out the losses one after the other."""
        boxes, left, steps = limit.perfect.boxes, limit.perfect.boxes, []
        for cause in Cause:
            count = limit.count(cause)
            left -= count
            if count:
                steps.append((*CAUSES[cause], count, 100 * left / boxes, 100 * count / boxes))
        steps.append(("found", "at every IoU from 0.50 to 0.95", left, 0.0, 100 * left / max(1, boxes)))
        return cls(split, boxes, steps)


@dataclass(frozen=True)
class Heat:
    """Boxes by size and by the level that learns them."""

    name: str
    rows: list[tuple[str, int, list[tuple[int, float]]]]  # (size, boxes, per level and none (boxes, share of the row))

    @classmethod
    def of(cls, split: str, found: Survey) -> Heat:
        """Leave out the sizes that do not occur."""
        table: NDArray[np.int64] = size_by_level(found.boxes, len(found.work))
        rows = [
            (size, sum(row), [(count, count / sum(row)) for count in row])
            for size, row in zip(SIZES, table.tolist(), strict=True)
            if sum(row)
        ]
        return cls(split, rows)


def _recall(inspections: Sequence[Inspection]) -> DrawnChart | None:
    lines = {}
    for one in inspections:
        lines[f"{one.name}, no rescue"] = list(zip(CURVE_IOUS, one.survey.recall, strict=True))
        lines[f"{one.name}, rescue"] = list(zip(CURVE_IOUS, one.survey.rescued_recall, strict=True))
    shown = {shorten(key): points for key, points in lines.items()}
    ticks = [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    return draw_chart(Chart("Boxes with an anchor, by the IoU asked for", "positive_iou", shown, ticks, False))


def _best(inspections: Sequence[Inspection]) -> DrawnChart | None:
    lines = {}
    for one in inspections:
        counts, edges = np.histogram(one.survey.boxes.best_iou, bins=20, range=(0, 1))
        middles = ((edges[:-1] + edges[1:]) / 2).tolist()
        lines[shorten(one.name)] = list(zip(middles, (counts / max(1, counts.sum())).tolist(), strict=True))
    return draw_chart(Chart("Share of boxes, by their best IoU with any anchor", "IoU", lines, last_values=False))


def _divisions(inspections: Sequence[Inspection]) -> list[tuple[str, list[tuple[str, list[object]]]]]:
    """Tables of (name, rows of (label, GroupShares or None per split)), most boxes first for classes."""
    tables: dict[str, dict[str, list[object]]] = {}
    for place, one in enumerate(inspections):
        for grouping in groupings(one.survey.boxes, one.views.source.categories, len(one.survey.work)):
            table = tables.setdefault(grouping.name, {label: [None] * len(inspections) for label in grouping.labels})
            for row in shares(one.survey.boxes, grouping):
                table[row.label][place] = row
    return [
        (division, [(shorten(label), row) for label, row in table.items() if any(row)][:MOST_GROUPS])
        for division, table in tables.items()
    ]


def _work(inspections: Sequence[Inspection]) -> list[tuple[int, float, float, float, list[float]]]:
    """(level, stride, width, height, share of the positives per split) of every shape."""
    surveys = [one.survey for one in inspections]
    return [
        (level, shapes.stride, *size, [float(found.work[level][k]) / max(1, found.positives) for found in surveys])
        for level, shapes in enumerate(surveys[0].levels)
        for k, size in enumerate(shapes.sizes)
    ]
