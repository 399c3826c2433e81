"""Print a comparison of result files on a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Iterable

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from anchorloc.compare.result_files.captions import (
    class_counts,
    difference_interval,
    difference_numbers,
    needed_text,
    p_text,
    verdict_sentence,
)
from anchorloc.compare.result_files.file_comparison import FileComparison
from anchorloc.compare.result_files.pair_comparison import PairComparison, ScoreDifference
from anchorloc.report.captions import AP_MEANING
from anchorloc.text import shorten, signed, three_decimals

STYLES = {"better": "green", "worse": "red", "not shown": "", "few": "dim"}
MAX_TABLES = 3  # pairs whose scores are printed
MAX_CLASSES = 12  # for each pair


def print_comparison(comparison: FileComparison, console: Console | None = None) -> None:
    """Print the verdict on each pair, and the scores where there are few pairs."""
    console = console or Console(highlight=False)
    console.print(Text(comparison.description, "dim"))
    with_tables = len(comparison.pairs) <= MAX_TABLES
    for pair in comparison.pairs:
        console.print()
        console.print(Text(verdict_sentence(pair, comparison.unit), STYLES[pair.ap.decision] or "bold"))
        console.print(Text(f"  {difference_numbers(pair.ap)}"))
        if with_tables:
            console.print(_table(pair, [pair.ap, *pair.of("scores")], "score"))
            _print_classes(pair, console)
    advice = "the report has the other scores of each pair"
    if with_tables:
        advice = f"needed: {comparison.unit}s like these that would show a difference of this size"
    console.print(Text(f"\n{AP_MEANING}\n{advice}\n{comparison.note}", "dim"))


def _print_classes(pair: PairComparison, console: Console) -> None:
    """Print the classes with a verdict, the greatest difference first, and count the others."""
    console.print(Text(class_counts(pair), "dim"))
    decided = [one for one in pair.of("classes") if one.decision in ("better", "worse")]
    if decided:
        ranked = sorted(decided, key=lambda one: -abs(one.value))[:MAX_CLASSES]
        console.print(_table(pair, ranked, "class"))


def _table(pair: PairComparison, rows: Iterable[ScoreDifference], label: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, header_style="dim", padding=(0, 0, 0, 1), pad_edge=False)
    table.add_column(label, max_width=20)
    table.add_column(Text(shorten(pair.against, 20), overflow="fold"), justify="right", max_width=8)
    table.add_column(Text(shorten(pair.name, 20), overflow="fold"), justify="right", max_width=8)
    for heading in ("differs", "95% interval", "p", "verdict", "needed"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        judged = row.judged
        table.add_row(
            Text(shorten(row.score.name), no_wrap=True, overflow="ellipsis"),
            three_decimals(row.theirs),
            three_decimals(row.ours),
            signed(row.value),
            "" if judged is None else difference_interval(judged).replace("0.", "."),
            "" if judged is None else p_text(judged.p),
            Text(row.decision, STYLES[row.decision]),
            needed_text(row),
        )
    return table
