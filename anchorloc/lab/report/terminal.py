"""Print an inspection on a terminal of 80 columns and 40 lines."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from anchorloc.lab.ceiling import Ceiling
from anchorloc.lab.findings import Finding
from anchorloc.lab.groups import SIZES, GroupCoverage, group_coverages, groupings
from anchorloc.lab.inspection import Inspection
from anchorloc.lab.miss_causes import MissCause
from anchorloc.lab.report.key_figures import CAUSES, CEILING_NOTE, anchors_line, key_figures, passes_line, split_prefix
from anchorloc.text import percent, shorten

MAX_FINDINGS = 3  # a screen has 40 lines; the report has all findings
SHOWN = (
    "boxes",
    "assigned",
    "no_anchor",
    "collisions",
    "recall50",
    "recall50_90",
    "positives",
    "ceiling_ap",
    "anchors_only_ap",
)


def print_inspections(inspections: Sequence[Inspection], console: Console | None = None) -> None:
    """Print the key figures of every split, the boxes by size, and the first findings."""
    console = console or Console(highlight=False)
    console.print(Text(anchors_line(inspections[0].coverage.config), "dim"))
    console.print(Text(", ".join(f"{shorten(one.name)} {passes_line(one)}" for one in inspections), "dim"))
    console.print(_figure_table(inspections))
    console.print(_size_table(inspections))
    for one in inspections:
        if one.ceiling is not None:
            console.print(Text(_ceiling_sentence(one.ceiling)))
            console.print(Text(CEILING_NOTE, "dim"))
    found = [(split_prefix(inspections, one), finding) for one in inspections for finding in one.findings]
    for number, (split, finding) in enumerate(found[:MAX_FINDINGS], 1):
        _print_finding(console, f"{number}. {split}", finding)
    if len(found) > MAX_FINDINGS:
        console.print(Text(f"and {len(found) - MAX_FINDINGS} more in the report", "dim"))


def _figure_table(inspections: Sequence[Inspection]) -> Table:
    """Return a table with a figure per row and a split per column."""
    table = Table(box=None, header_style="dim", padding=(0, 3, 0, 0))
    table.add_column("")
    for one in inspections:
        heading = shorten(one.name, 12) if len(inspections) > 1 else ""  # the line above names a lone split
        table.add_column(Text(heading), justify="right", no_wrap=True)
    table.add_column("")
    columns = [{figure.key: figure for figure in key_figures(one)} for one in inspections]
    for key in SHOWN:
        known = [column[key] for column in columns if key in column]
        if known:
            texts = [column[key].text if key in column else "" for column in columns]
            table.add_row(known[0].label, *texts, Text(known[0].description, "dim", no_wrap=True, overflow="ellipsis"))
    return table


def _size_table(inspections: Sequence[Inspection]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("network pixels", no_wrap=True)
    columns = []
    for one in inspections:
        for heading in (shorten(one.name, 12) if len(inspections) > 1 else "boxes", "assigned", "IoU>=.5"):
            table.add_column(heading, justify="right", no_wrap=True)
        size = groupings(one.coverage)[0]
        columns.append({row.label: row for row in group_coverages(one.coverage.boxes, size)})
    for label in SIZES:
        rows = [column.get(label) for column in columns]
        if any(rows):
            table.add_row(label, *(cell for row in rows for cell in _group_cells(row)))
    return table


def _group_cells(row: GroupCoverage | None) -> tuple[str, str, str]:
    return ("", "", "") if row is None else (f"{row.boxes:,}", percent(row.assigned), percent(row.recall50))


def _ceiling_sentence(limit: Ceiling) -> str:
    missed = [f"{limit.count(cause):,} {CAUSES[cause][0]}" for cause in MissCause if limit.count(cause)]
    return f"A perfect network finds {limit.found:,} of {limit.perfect.boxes:,} boxes at IoU 0.95" + (
        f"; missed: {', '.join(missed)}." if missed else "."
    )


def _print_finding(console: Console, start: str, finding: Finding) -> None:
    console.print(Text(f"{start}{shorten(finding.sentence, 1000)}"))
    for setting in finding.settings:
        console.print(Text(f"   {shorten(setting, 1000)}", "cyan"), soft_wrap=True)
