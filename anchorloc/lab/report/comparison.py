"""Several settings of anchors side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from anchorloc.files import write_json, write_text
from anchorloc.lab.anchor_coverage import CURVE_IOUS
from anchorloc.lab.groups import groupings, shares
from anchorloc.lab.inspection import Inspection
from anchorloc.lab.report.record import lab_record
from anchorloc.lab.report.words import LIMIT_SENTENCE, Number, anchors_line, numbers, shapes_line
from anchorloc.report.chart import Chart, draw_chart
from anchorloc.report.csv import write_csv
from anchorloc.report.html import render
from anchorloc.text import shorten

Settings = Mapping[str, Sequence[Inspection]]  # by name: every split, inspected, the same splits for all
MOST_CLASSES = 12  # on the terminal; the files have them all


def print_comparison(settings: Settings, console: Console | None = None) -> None:
    """Print the numbers of the split that is evaluated on: a setting a column."""
    console = console or Console(highlight=False)
    for key in settings:
        console.print(Text(f"{shorten(key, 30)}: {_anchors(settings, key)}", "dim"))
    table = Table(box=box.SIMPLE_HEAD, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(Text(shorten(next(iter(settings.values()))[-1].name, 24)), no_wrap=True)
    for key in settings:
        table.add_column(Text(shorten(key, 30)), justify="right", overflow="fold")
    for row in _shown(comparison_rows([inspections[-1] for inspections in settings.values()])):
        table.add_row(row[0].label, *(number.text for number in row))
    console.print(table)
    console.print(Text(LIMIT_SENTENCE, "dim"))


def comparison_rows(inspections: Sequence[Inspection]) -> list[list[Number]]:
    """Return the numbers of one split under each setting, and what becomes of its boxes by size, aspect and class."""
    columns = [{number.key: number for number in [*numbers(one), *_by_group(one)]} for one in inspections]
    known = {key: replace(number, value=None) for column in columns for key, number in column.items()}
    return [[column.get(key, empty) for column in columns] for key, empty in known.items()]


def _by_group(one: Inspection) -> Iterator[Number]:
    """All groups that are the same boxes whatever the anchors are: not those by level."""
    for grouping in groupings(one.survey.boxes, one.views.source.categories, len(one.survey.work))[:3]:
        known = {row.label: row for row in shares(one.survey.boxes, grouping)}
        for label in grouping.labels:
            row = known.get(label)
            words = f"{grouping.name} {shorten(label, 24)}" if grouping.name == "height/width" else shorten(label, 24)
            if row is not None:
                yield Number(f"assigned {grouping.name} {label}", f"anchor, {words}", row.assigned, "share",
                             f"of {row.boxes:,} boxes, those with an anchor")  # fmt: skip
                yield Number(f"recall50 {grouping.name} {label}", f"IoU >= 0.5, {words}", row.recall50, "share",
                             f"of {row.boxes:,} boxes, those whose own anchor overlaps so much")  # fmt: skip


def _shown(rows: list[list[Number]]) -> list[list[Number]]:
    """The rows for a screen: all numbers, IoU >= 0.5 by size, and by class where those are few."""
    classes = [row for row in rows if row[0].key.startswith("recall50 class")]
    by_size = [row for row in rows if row[0].key.startswith("recall50 size")]
    return [*(row for row in rows if " " not in row[0].key), *by_size, *classes[:MOST_CLASSES]]


def _anchors(settings: Settings, key: str) -> str:
    """The anchors of a setting in a line, with their shapes where those are not the same in all settings."""
    found = {other: some[-1].survey for other, some in settings.items()}
    line = anchors_line(found[key].config)
    same = len({survey.levels for survey in found.values()}) == 1
    return line if same else f"{line} · {shapes_line(found[key])}"


def write_comparison(folder: Path, settings: Settings, facts: Mapping[str, object]) -> Path:
    """Write compare.json, compare.csv and compare.html into an existing folder, and return the path of the last.

    Raises:
        InputError: the file system refuses.
    """
    page = folder / "compare.html"
    write_json(folder / "compare.json", {key: lab_record(some, facts) for key, some in settings.items()})
    tables = _tables(settings)
    write_csv(
        folder / "compare.csv",
        ("split", "number", *settings),
        ((split, row[0].label, *(number.value for number in row)) for split, rows in tables for row in rows),
    )
    write_text(page, _page(settings, tables, facts))
    return page


def _tables(settings: Settings) -> list[tuple[str, list[list[Number]]]]:
    """One table a split."""
    splits = [one.name for one in next(iter(settings.values()))]
    return [
        (split, comparison_rows([inspections[place] for inspections in settings.values()]))
        for place, split in enumerate(splits)
    ]


def _page(settings: Settings, tables: list[tuple[str, list[list[Number]]]], facts: Mapping[str, object]) -> str:
    last = {shorten(key): some[-1] for key, some in settings.items()}
    lines = {key: list(zip(CURVE_IOUS, one.survey.recall, strict=True)) for key, one in last.items()}
    title, ticks = (
        "Boxes with an anchor, by the IoU asked for, without rescue",
        [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0],
    )
    values: dict[str, Any] = {
        "sizes": LIMIT_SENTENCE,
        "lines": [(shorten(key), _anchors(settings, key)) for key in settings],
        "chart": draw_chart(Chart(title, "positive_iou", lines, ticks, last_values=False)),
        "names": [shorten(key) for key in settings],
        "tables": [(shorten(split), rows) for split, rows in tables],
    }
    return render("lab/report/compare.html", "anchors side by side", facts, [], **values)
