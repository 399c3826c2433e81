"""Print the scores on a terminal of 80 columns."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from anchorloc.metrics import Bootstrap, Evaluation, Interval
from anchorloc.report.analysis.captions import interval_sentence
from anchorloc.report.captions import hidden_sentence, operating_sentence, shown_classes, size_line
from anchorloc.text import shorten, three_decimals

MAX_CLASSES = 25  # rows of the class table


def print_evaluation(
    evaluation: Evaluation, intervals: Bootstrap | None = None, console: Console | None = None
) -> None:
    """Print the 12 COCO scores, the classes and the warnings; with `intervals` also the interval of each score."""
    console = console or Console(highlight=False)
    console.print(Text(size_line(evaluation), "dim"))
    console.print(_numbers(evaluation, intervals))
    if intervals is not None:
        console.print(Text(interval_sentence(intervals), "dim"))
    console.print(_classes(evaluation, intervals))
    if intervals is not None and _lacks_interval(evaluation, intervals):
        console.print(Text("no interval: too few images", "dim"))
    if sentence := operating_sentence(evaluation):
        console.print(Text(sentence))
    for warning in evaluation.warnings:
        console.print(Text(f"warning: {warning}", "yellow"))


def _numbers(evaluation: Evaluation, intervals: Bootstrap | None) -> Table:
    """Return precision in one line and recall in the next, each score between its name and its interval."""
    numbers = list(evaluation.summary.named().items())
    table = Table(box=None, show_header=False, padding=(0, 3 if intervals is None else 2, 0, 0))
    for half in (numbers[:6], numbers[6:]):
        table.add_row(*(Text(key, "dim", justify="right") for key, _ in half))
        table.add_row(*(Text(three_decimals(value), "bold", justify="right") for _, value in half))
        if intervals is not None:
            table.add_row(*(Text(short_interval(intervals.summary[key]), "dim", justify="right") for key, _ in half))
    return table


def short_interval(interval: Interval | None) -> str:
    """Return an interval in at most ten characters, or "" if there is none."""
    return "" if interval is None else f"{interval.low:.3f}-{interval.high:.3f}".replace("0.", ".")


def _lacks_interval(evaluation: Evaluation, intervals: Bootstrap) -> bool:
    """Return whether a score that is known has no interval."""
    named = evaluation.summary.named()
    scores = [*named.values(), *(metrics.ap for metrics in evaluation.classes)]
    between = [*(intervals.summary[name] for name in named), *intervals.classes]
    return any(score is not None and one is None for score, one in zip(scores, between, strict=True))


def _classes(evaluation: Evaluation, intervals: Bootstrap | None) -> Table:
    shown = shown_classes(evaluation.classes, MAX_CLASSES)
    table = Table(box=box.SIMPLE_HEAD, header_style="dim", padding=(0, 0, 0, 1), pad_edge=False)
    table.add_column("class")  # the only column that shrinks on a narrow terminal
    limit = evaluation.summary.max_detections[-1]
    for heading in (
        "AP",
        *([] if intervals is None else ["interval"]),
        "AP50",
        "AP75",
        f"AR{limit}",
        "images",
        "boxes",
        "detections",
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    for label in shown:
        metrics = evaluation.classes[label]
        values = (metrics.ap, metrics.ap50, metrics.ap75, metrics.ar)
        counts = (metrics.images, metrics.boxes, metrics.detections)
        cells = [Text(three_decimals(value), "" if metrics.boxes else "dim") for value in values]
        if intervals is not None:
            cells.insert(1, Text(short_interval(intervals.classes[label]), "dim"))
        table.add_row(
            Text(shorten(metrics.category.shown_name), no_wrap=True, overflow="ellipsis"),
            *cells,
            *(f"{count:,}" for count in counts),
        )
    table.caption = hidden_sentence(len(evaluation.classes) - len(shown))
    return table
