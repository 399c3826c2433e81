"""Show the anchors of several configs side by side."""

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
from anchorloc.lab.groups import group_coverages, groupings
from anchorloc.lab.inspection import Inspection
from anchorloc.lab.report.json_csv import report_json
from anchorloc.lab.report.key_figures import CEILING_NOTE, KeyFigure, anchors_line, key_figures, shapes_line
from anchorloc.report.chart import Chart, draw_chart
from anchorloc.report.csv import write_csv
from anchorloc.report.html import render
from anchorloc.text import shorten

Configs = Mapping[str, Sequence[Inspection]]  # name of a config: its splits, the same for all configs
MAX_CLASSES = 12  # on the terminal; the files have all classes


def print_comparison(configs: Configs, console: Console | None = None) -> None:
    """Print the figures of the split that is evaluated on, with a column per config."""
    console = console or Console(highlight=False)
    for key in configs:
        console.print(Text(f"{shorten(key, 30)}: {_anchors(configs, key)}", "dim"))
    table = Table(box=box.SIMPLE_HEAD, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(Text(shorten(next(iter(configs.values()))[-1].name, 24)), no_wrap=True)
    for key in configs:
        table.add_column(Text(shorten(key, 30)), justify="right", overflow="fold")
    for row in _terminal_rows(comparison_rows([inspections[-1] for inspections in configs.values()])):
        table.add_row(row[0].label, *(figure.text for figure in row))
    console.print(table)
    console.print(Text(CEILING_NOTE, "dim"))


def comparison_rows(inspections: Sequence[Inspection]) -> list[list[KeyFigure]]:
    """Return the figures of one split under each config, in total and by size, aspect ratio and class."""
    columns = [{figure.key: figure for figure in [*key_figures(one), *_group_figures(one)]} for one in inspections]
    known = {key: replace(figure, value=None) for column in columns for key, figure in column.items()}
    return [[column.get(key, empty) for column in columns] for key, empty in known.items()]


def _group_figures(one: Inspection) -> Iterator[KeyFigure]:
    """Yield the figures of each group, except by level: the boxes of a level depend on the anchors."""
    for grouping in groupings(one.coverage):
        if grouping.name == "level":
            continue
        known = {row.label: row for row in group_coverages(one.coverage.boxes, grouping)}
        for label in grouping.labels:
            row = known.get(label)
            words = shorten(label, 24) if grouping.name in ("size", "class") else f"{grouping.name} {label}"
            if row is not None:
                yield KeyFigure(f"assigned {grouping.name} {label}", f"assigned, {words}", row.assigned, "share",
                                f"fraction of {row.boxes:,} boxes with a positive anchor")  # fmt: skip
                yield KeyFigure(f"recall50 {grouping.name} {label}", f"IoU >= 0.5, {words}", row.recall50, "share",
                                f"fraction of {row.boxes:,} boxes with their own anchor of IoU >= 0.5")  # fmt: skip


def _terminal_rows(rows: list[list[KeyFigure]]) -> list[list[KeyFigure]]:
    """Return the key figures, IoU >= 0.5 by size, and by class for the first classes."""
    classes = [row for row in rows if row[0].key.startswith("recall50 class")]
    by_size = [row for row in rows if row[0].key.startswith("recall50 size")]
    return [*(row for row in rows if " " not in row[0].key), *by_size, *classes[:MAX_CLASSES]]


def _anchors(configs: Configs, key: str) -> str:
    """Return the anchors of a config in a line, with their shapes if the configs differ in shapes."""
    found = {other: some[-1].coverage for other, some in configs.items()}
    line = anchors_line(found[key].config)
    same = len({coverage.levels for coverage in found.values()}) == 1
    return line if same else f"{line} · {shapes_line(found[key])}"


def write_comparison(folder: Path, configs: Configs, facts: Mapping[str, object]) -> Path:
    """Write compare.json, compare.csv and compare.html into an existing folder, and return the path of the page.

    Raises:
        InputError: the file system refuses.
    """
    page = folder / "compare.html"
    write_json(folder / "compare.json", {key: report_json(some, facts) for key, some in configs.items()})
    tables = _tables(configs)
    write_csv(
        folder / "compare.csv",
        ("split", "number", *configs),
        ((split, row[0].label, *(figure.value for figure in row)) for split, rows in tables for row in rows),
    )
    write_text(page, _page(configs, tables, facts))
    return page


def _tables(configs: Configs) -> list[tuple[str, list[list[KeyFigure]]]]:
    """Return (name, rows) of every split."""
    splits = [one.name for one in next(iter(configs.values()))]
    return [
        (split, comparison_rows([inspections[place] for inspections in configs.values()]))
        for place, split in enumerate(splits)
    ]


def _page(configs: Configs, tables: list[tuple[str, list[list[KeyFigure]]]], facts: Mapping[str, object]) -> str:
    last = {shorten(key): some[-1] for key, some in configs.items()}
    lines = {key: list(zip(CURVE_IOUS, one.coverage.recall, strict=True)) for key, one in last.items()}
    title = "Share of boxes with a positive anchor, by positive_iou, without rescue"
    ticks = [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    values: dict[str, Any] = {
        "sizes": CEILING_NOTE,
        "lines": [(shorten(key), _anchors(configs, key)) for key in configs],
        "chart": draw_chart(Chart(title, "positive_iou", lines, ticks, last_values=False)),
        "names": [shorten(key) for key in configs],
        "tables": [(shorten(split), rows) for split, rows in tables],
    }
    return render("lab/report/compare.html", "anchors side by side", facts, [], **values)
