"""Write a lab report: one HTML page, and its numbers as JSON and CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anchorloc.files import write_json, write_text
from anchorloc.lab.anchor_coverage import CURVE_IOUS, AnchorCoverage, BoxStatus
from anchorloc.lab.ceiling import Ceiling
from anchorloc.lab.groups import SIZES, GroupCoverage, group_coverages, groupings, size_by_level
from anchorloc.lab.inspection import Inspection
from anchorloc.lab.miss_causes import MissCause
from anchorloc.lab.report.charts import scaled_shapes, scatter
from anchorloc.lab.report.json_csv import BOX_HEADER, box_rows, report_json, write_csv_files
from anchorloc.lab.report.key_figures import CAUSES, anchors_line, key_figures, passes_line, split_prefix
from anchorloc.lab.report.pictures import unassigned_pictures
from anchorloc.report.captions import AP_MEANING
from anchorloc.report.chart import Chart, DrawnChart, draw_chart
from anchorloc.report.html import render
from anchorloc.report.page import aspect_of
from anchorloc.report.picture import DrawnPicture
from anchorloc.text import shorten

MAX_LISTED = 200  # boxes without a positive anchor; boxes.csv has all of them
MAX_GROUPS = 100  # rows of one table


def write_lab_report(folder: Path, inspections: Sequence[Inspection], title: str, facts: Mapping[str, object]) -> Path:
    """Write report.json, the CSV tables and report.html into an existing folder, and return the path of the page.

    Raises:
        InputError: the file system refuses.
    """
    page = folder / "report.html"
    write_json(folder / "report.json", report_json(inspections, facts))
    write_csv_files(folder, inspections)
    pictures = [picture for one in inspections for picture in unassigned_pictures(one)]
    write_text(page, _page(inspections, title, pictures, facts))
    return page


def _page(
    inspections: Sequence[Inspection], title: str, pictures: Sequence[DrawnPicture], facts: Mapping[str, object]
) -> str:
    first, missing = inspections[0].coverage, (BoxStatus.NO_ANCHOR, BoxStatus.COLLISION)
    unassigned = [row for one in inspections for status in missing for row in box_rows(one, status)]
    return render(
        "lab/report/page.html",
        title,
        facts,
        [warning for one in inspections for warning in one.views.source.warnings],
        sizes=anchors_line(first.config),
        splits=[(shorten(one.name), passes_line(one), key_figures(one)) for one in inspections],
        findings=[(split_prefix(inspections, one), finding) for one in inspections for finding in one.findings],
        waterfalls=[Waterfall.of(shorten(one.name), one.ceiling) for one in inspections if one.ceiling is not None],
        ap_meaning=AP_MEANING,
        charts=[chart for chart in (_recall_chart(inspections), _iou_chart(inspections)) if chart is not None],
        heatmaps=[Heatmap.of(shorten(one.name), one.coverage) for one in inspections if len(one.coverage.boxes)],
        divisions=_group_tables(inspections),
        scatter=scatter(first),
        shapes=scaled_shapes(first),
        shape_rows=_shape_rows(inspections),
        names=[shorten(one.name) for one in inspections],
        pictures=pictures,
        aspect=aspect_of(pictures),
        header=BOX_HEADER[:10],
        unassigned=[row[:10] for row in unassigned[:MAX_LISTED]],
        unassigned_count=len(unassigned),
    )


@dataclass(frozen=True)
class Waterfall:
    """A waterfall chart from all boxes down to those that a perfect network finds."""

    name: str
    boxes: int
    steps: list[tuple[str, str, int, float, float]]  # (cause, meaning, boxes, start %, width %)

    @classmethod
    def of(cls, split: str, limit: Ceiling) -> Waterfall:
        """Place the misses one after the other, by cause."""
        boxes, left, steps = limit.perfect.boxes, limit.perfect.boxes, []
        for cause in MissCause:
            count = limit.count(cause)
            left -= count
            if count:
                steps.append((*CAUSES[cause], count, 100 * left / boxes, 100 * count / boxes))
        steps.append(("found", "at every IoU from 0.50 to 0.95", left, 0.0, 100 * left / max(1, boxes)))
        return cls(split, boxes, steps)


@dataclass(frozen=True)
class Heatmap:
    """Boxes by size and by the level of their strongest positive anchor."""

    name: str
    rows: list[tuple[str, int, list[tuple[int, float]]]]  # (size, boxes, (boxes, share of the row) by level and none)

    @classmethod
    def of(cls, split: str, coverage: AnchorCoverage) -> Heatmap:
        """Count the boxes; sizes that do not occur are left out."""
        table: NDArray[np.int64] = size_by_level(coverage)
        rows = [
            (size, sum(row), [(count, count / sum(row)) for count in row])
            for size, row in zip(SIZES, table.tolist(), strict=True)
            if sum(row)
        ]
        return cls(split, rows)


def _recall_chart(inspections: Sequence[Inspection]) -> DrawnChart | None:
    lines = {}
    for one in inspections:
        lines[f"{one.name}, no rescue"] = list(zip(CURVE_IOUS, one.coverage.recall, strict=True))
        lines[f"{one.name}, rescue"] = list(zip(CURVE_IOUS, one.coverage.rescued_recall, strict=True))
    shown = {shorten(key): points for key, points in lines.items()}
    ticks = [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    return draw_chart(
        Chart("Share of boxes with a positive anchor, by positive_iou", "positive_iou", shown, ticks, False)
    )


def _iou_chart(inspections: Sequence[Inspection]) -> DrawnChart | None:
    lines = {}
    for one in inspections:
        counts, edges = np.histogram(one.coverage.boxes.best_iou, bins=20, range=(0, 1))
        middles = ((edges[:-1] + edges[1:]) / 2).tolist()
        lines[shorten(one.name)] = list(zip(middles, (counts / max(1, counts.sum())).tolist(), strict=True))
    return draw_chart(Chart("Share of boxes, by their best IoU with any anchor", "IoU", lines, last_values=False))


def _group_tables(
    inspections: Sequence[Inspection],
) -> list[tuple[str, list[tuple[str, list[GroupCoverage | None]]]]]:
    """Return tables of (name, rows of (label, coverage or None per split))."""
    tables: dict[str, dict[str, list[GroupCoverage | None]]] = {}
    for place, one in enumerate(inspections):
        for grouping in groupings(one.coverage):
            table = tables.setdefault(grouping.name, {label: [None] * len(inspections) for label in grouping.labels})
            for row in group_coverages(one.coverage.boxes, grouping):
                table[row.label][place] = row
    return [
        (division, [(shorten(label), row) for label, row in table.items() if any(row)][:MAX_GROUPS])
        for division, table in tables.items()
    ]


def _shape_rows(inspections: Sequence[Inspection]) -> list[tuple[int, float, float, float, list[float]]]:
    """Return (level, stride, width, height, share of the positives per split) of every shape."""
    shares = zip(*(one.coverage.shape_shares for one in inspections), strict=True)
    rows = inspections[0].coverage.shape_rows()
    return [(*row[:4], list(parts)) for row, parts in zip(rows, shares, strict=False)]
