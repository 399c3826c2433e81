"""Several settings of anchors side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from anchorloc.coverage.groups import SIZES, groupings, shares
from anchorloc.coverage.inspection import Inspection
from anchorloc.coverage.survey import CURVE_IOUS
from anchorloc.files import write_json, write_text
from anchorloc.report.chart import Chart, draw_chart
from anchorloc.report.csv import write_csv
from anchorloc.report.html import render
from anchorloc.report.lab.record import lab_record
from anchorloc.report.lab.words import LIMIT_SENTENCE, Number, anchors_line, numbers
from anchorloc.report.words import name

Settings = Mapping[str, Sequence[Inspection]]  # by name: every split, inspected, the same splits for all


def print_comparison(settings: Settings, console: Console | None = None) -> None:
    """Print the numbers of the split that is evaluated on: a setting a column."""
    console = console or Console(highlight=False)
    for key, inspections in settings.items():
        console.print(Text(f"{name(key, 30)}: {anchors_line(inspections[-1].survey.config)}", "dim"))
    table = Table(box=box.SIMPLE_HEAD, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(Text(name(next(iter(settings.values()))[-1].name, 24)), no_wrap=True)
    for key in settings:
        table.add_column(Text(name(key, 30)), justify="right", overflow="fold")
    for row in comparison_rows([inspections[-1] for inspections in settings.values()]):
        table.add_row(row[0].label, *(number.text for number in row))
    console.print(table)
    console.print(Text(LIMIT_SENTENCE, "dim"))


def comparison_rows(inspections: Sequence[Inspection]) -> list[list[Number]]:
    """Return the numbers of one split under each setting, and the share of boxes with an anchor by size."""
    columns = [{number.key: number for number in [*numbers(one), *_by_size(one)]} for one in inspections]
    known = {key: replace(number, value=None) for column in columns for key, number in column.items()}
    return [[column.get(key, empty) for column in columns] for key, empty in known.items()]


def _by_size(one: Inspection) -> list[Number]:
    size = groupings(one.survey.boxes, one.views.source.categories, len(one.survey.work))[0]
    known = {row.label: row for row in shares(one.survey.boxes, size)}
    return [
        Number(
            f"assigned {label}", f"anchor, {label}", known[label].assigned, "share", "boxes of this size with an anchor"
        )
        for label in SIZES
        if label in known
    ]


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
    last = {name(key): some[-1] for key, some in settings.items()}
    lines = {key: list(zip(CURVE_IOUS, one.survey.recall, strict=True)) for key, one in last.items()}
    title, ticks = (
        "Boxes with an anchor, by the IoU asked for, without rescue",
        [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0],
    )
    values: dict[str, Any] = {
        "sizes": LIMIT_SENTENCE,
        "lines": [(name(key), anchors_line(some[-1].survey.config)) for key, some in settings.items()],
        "chart": draw_chart(Chart(title, "positive_iou", lines, ticks, last_values=False)),
        "names": [name(key) for key in settings],
        "tables": [(name(split), rows) for split, rows in tables],
    }
    return render("lab/compare.html", "anchors side by side", facts, [], **values)
