"""The course of a training as charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from anchorloc.report.chart import Chart


def training_charts(rows: Sequence[Mapping[str, object]], x: str = "epoch") -> tuple[Chart, ...]:
    """Draw what a run logged: its COCO numbers ("val/AP..."), and its losses, in training and in validation.

    Args:
        rows: as in `metrics.jsonl`, one a line; a row need not have every key. The losses are the keys that stand
            there with "val/" before them and without.
        x: the key of the horizontal axis.
    """
    keys = list(dict.fromkeys(key for row in rows for key in row))
    losses = [key for key in keys if f"val/{key}" in keys]
    precisions = [key for key in keys if key.startswith("val/AP")]
    train = {f"{key}, train": _line(rows, x, key) for key in losses}
    val = {f"{key}, val": _line(rows, x, f"val/{key}") for key in losses}
    return (
        Chart("Average precision", x, {key.removeprefix("val/"): _line(rows, x, key) for key in precisions}),
        Chart("Loss", x, train | val),
    )


def _line(rows: Sequence[Mapping[str, object]], x: str, y: str) -> list[tuple[float, float]]:
    pairs = ((row.get(x), row.get(y)) for row in rows)
    return [(float(a), float(b)) for a, b in pairs if isinstance(a, int | float) and isinstance(b, int | float)]
