"""Print a study on a terminal of 80 columns."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from anchorloc.compare.report.result import (
    MEASURE_COLUMNS,
    MeasureColumn,
    SettingRow,
    StudyResult,
    verdict_numbers,
    verdict_sentence,
)
from anchorloc.report.captions import AP_MEANING
from anchorloc.text import shorten, three_decimals

LOCALIZATION_SHOWN = ("top1_loc_error", "corloc", "mean_iou", "constant_iou", "spread_ratio")  # fit 80 columns
STYLES = {"better": "green", "worse": "red", "not shown": "dim"}


def print_study(result: StudyResult, console: Console | None = None) -> None:
    """Print one row per setting and one verdict per pair."""
    console = console or Console(highlight=False)
    console.print(Text(result.description, "dim"))
    console.print(_table(result, MEASURE_COLUMNS[:3], with_ap=True))
    console.print(_table(result, MEASURE_COLUMNS[3:], with_ap=False))
    if result.localization_columns:
        console.print(_localization_table(result))
    console.print(Text(AP_MEANING, "dim"))
    for verdict in result.verdicts:
        console.print(Text(verdict_sentence(verdict), STYLES[verdict.decision]))
        console.print(Text(f"  {verdict_numbers(verdict)}"))
    console.print(Text(result.smallest_p_note, "dim"))
    for warning in result.warnings:
        console.print(Text(f"warning: {warning}", "yellow"))


def _table(result: StudyResult, columns: tuple[MeasureColumn, ...], with_ap: bool) -> Table:
    table = Table(box=box.SIMPLE_HEAD, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("setting", max_width=26)
    for heading in ("AP", "95% interval") if with_ap else ():
        table.add_column(heading, justify="right", no_wrap=True)
    for column in columns:
        table.add_column(column.label, justify="right")
    for row in result.rows:
        table.add_row(
            Text(shorten(row.name)),
            *((three_decimals(None if row.ap is None else row.ap.value), ap_interval_text(row)) if with_ap else ()),
            *(column.text(row.measures) for column in columns),
        )
    return table


def _localization_table(result: StudyResult) -> Table:
    table = Table(box=box.SIMPLE_HEAD, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("setting", max_width=26)
    for key in LOCALIZATION_SHOWN:
        table.add_column(result.localization_columns[key][0], justify="right")
    for row in result.rows:
        table.add_row(
            Text(shorten(row.name)), *(three_decimals(row.localization.get(key)) for key in LOCALIZATION_SHOWN)
        )
    return table


def ap_interval_text(row: SettingRow) -> str:
    """Write the interval of a setting's AP, n/a without one."""
    return "n/a" if row.ap is None or row.ap.low == row.ap.high else f"{row.ap.low:.3f} to {row.ap.high:.3f}"
