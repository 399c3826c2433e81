"""The numbers on a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from anchorloc.metrics import ClassMetrics, Evaluation
from anchorloc.report.words import counted, decimal, name, operating_sentence, sizes

MOST_CLASSES = 25  # rows of the class table


def print_evaluation(evaluation: Evaluation, console: Console | None = None) -> None:
    """Print COCO's 12 numbers, the classes and the warnings."""
    console = console or Console(highlight=False)
    console.print(Text(sizes(evaluation), "dim"))
    console.print(_numbers(evaluation))
    console.print(_classes(evaluation))
    if sentence := operating_sentence(evaluation):
        console.print(Text(sentence))
    for warning in evaluation.warnings:
        console.print(Text(f"warning: {warning}", "yellow"))


def _numbers(evaluation: Evaluation) -> Table:
    """Precision in one line, recall in the next, each number under its name."""
    numbers = list(evaluation.summary.named().items())
    table = Table(box=None, show_header=False, padding=(0, 3, 0, 0))
    for half in (numbers[:6], numbers[6:]):
        table.add_row(*(Text(key, "dim", justify="right") for key, _ in half))
        table.add_row(*(Text(decimal(value), "bold", justify="right") for _, value in half))
    return table


def _classes(evaluation: Evaluation) -> Table:
    shown = _shown(evaluation.classes)
    hidden = len(evaluation.classes) - len(shown)
    table = Table(box=box.SIMPLE_HEAD, header_style="dim", padding=(0, 0, 0, 1), pad_edge=False)
    table.add_column("class")  # the one column that gives way where the lines are too long
    limit = evaluation.summary.max_detections[-1]
    for heading in ("AP", "AP50", "AP75", f"AR{limit}", "images", "boxes", "detections"):
        table.add_column(heading, justify="right", no_wrap=True)
    for metrics in shown:
        values = (metrics.ap, metrics.ap50, metrics.ap75, metrics.ar)
        counts = (metrics.images, metrics.boxes, metrics.detections)
        table.add_row(
            Text(name(metrics.category.name), no_wrap=True, overflow="ellipsis"),
            *(Text(decimal(value), "" if metrics.boxes else "dim") for value in values),
            *(f"{count:,}" for count in counts),
        )
    if hidden:
        table.caption = f"and {counted(hidden, 'class')} with fewer boxes; the report lists all"
    return table


def _shown(classes: Sequence[ClassMetrics]) -> list[ClassMetrics]:
    """Return the classes of most boxes, in the order of the labels."""
    ranked = sorted(classes, key=lambda metrics: -metrics.boxes)[:MOST_CLASSES]
    return [metrics for metrics in classes if metrics in ranked]
