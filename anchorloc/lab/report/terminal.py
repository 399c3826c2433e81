"""An inspection on a terminal of 80 columns and 40 lines."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from anchorloc.lab.ceiling import Ceiling
from anchorloc.lab.findings import Finding
from anchorloc.lab.groups import SIZES, GroupShares, groupings, shares
from anchorloc.lab.inspection import Inspection
from anchorloc.lab.miss_causes import Cause
from anchorloc.lab.report.words import CAUSES, LIMIT_SENTENCE, anchors_line, numbers, passes, split_words
from anchorloc.text import percent, shorten

MOST_FINDINGS = 3  # a screen has 40 lines; the report has them all
SHOWN = (
    "boxes",
    "assigned",
    "no_anchor",
    "collisions",
    "recall50",
    "recall50_90",
    "positives",
    "ceiling_ap",
    "unmoved_ap",
)


def print_inspections(inspections: Sequence[Inspection], console: Console | None = None) -> None:
    """Print the numbers of every split, the boxes by size, and the first findings."""
    console = console or Console(highlight=False)
    console.print(Text(anchors_line(inspections[0].survey.config), "dim"))
    console.print(Text(", ".join(f"{shorten(one.name)} {passes(one)}" for one in inspections), "dim"))
    console.print(_numbers(inspections))
    console.print(_sizes(inspections))
    for one in inspections:
        if one.ceiling is not None:
            console.print(Text(_losses(one.ceiling)))
            console.print(Text(LIMIT_SENTENCE, "dim"))
    said = [(split_words(inspections, one), finding) for one in inspections for finding in one.findings]
    for number, (split, finding) in enumerate(said[:MOST_FINDINGS], 1):
        _print_finding(console, f"{number}. {split}", finding)
    if len(said) > MOST_FINDINGS:
        console.print(Text(f"and {len(said) - MOST_FINDINGS} more in the report", "dim"))


def _numbers(inspections: Sequence[Inspection]) -> Table:
    """A number a line, a split a column."""
    table = Table(box=None, header_style="dim", padding=(0, 3, 0, 0))
    table.add_column("")
    for one in inspections:
        heading = shorten(one.name, 12) if len(inspections) > 1 else ""  # a lone one is named above
        table.add_column(Text(heading), justify="right", no_wrap=True)
    table.add_column("")
    columns = [{number.key: number for number in numbers(one)} for one in inspections]
    for key in SHOWN:
        known = [column[key] for column in columns if key in column]
        if known:
            texts = [column[key].text if key in column else "" for column in columns]
            table.add_row(known[0].label, *texts, Text(known[0].meaning, "dim", no_wrap=True, overflow="ellipsis"))
    return table


def _sizes(inspections: Sequence[Inspection]) -> Table:
    """The boxes by size in network pixels."""
    table = Table(box=box.SIMPLE_HEAD, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("network pixels", no_wrap=True)
    columns = []
    for one in inspections:
        for heading in (shorten(one.name, 12) if len(inspections) > 1 else "boxes", "anchor", "IoU>=.5"):
            table.add_column(heading, justify="right", no_wrap=True)
        size = groupings(one.survey.boxes, one.views.source.categories, len(one.survey.work))[0]
        columns.append({row.label: row for row in shares(one.survey.boxes, size)})
    for label in SIZES:
        rows = [column.get(label) for column in columns]
        if any(rows):
            table.add_row(label, *(cell for row in rows for cell in _share_cells(row)))
    return table


def _share_cells(row: GroupShares | None) -> tuple[str, str, str]:
    return ("", "", "") if row is None else (f"{row.boxes:,}", percent(row.assigned), percent(row.recall50))


def _losses(limit: Ceiling) -> str:
    """Why the ceiling is not higher."""
    lost = [f"{limit.count(cause):,} {CAUSES[cause][0]}" for cause in Cause if limit.count(cause)]
    return f"A perfect network finds {limit.found:,} of {limit.perfect.boxes:,} boxes at IoU 0.95" + (
        f"; lost: {', '.join(lost)}." if lost else "."
    )


def _print_finding(console: Console, start: str, finding: Finding) -> None:
    console.print(Text(f"{start}{shorten(finding.sentence, 1000)}"))
    for setting in finding.settings:
        console.print(Text(f"   {shorten(setting, 1000)}", "cyan"), soft_wrap=True)
