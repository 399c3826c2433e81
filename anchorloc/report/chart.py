"""Line charts, laid out as the numbers that an SVG needs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from anchorloc.report.axes import Axes, axis_from_zero, axis_of_ticks

WIDTH, HEIGHT = 460, 240  # user units of the SVG
LEFT, RIGHT, TOP, BOTTOM = 46, WIDTH - 12, 12, HEIGHT - 34  # edges of the plot area
MAX_POINTS = 300  # per line: a line has no more pixels than this to show

Point = tuple[float, float]


@dataclass(frozen=True)
class Chart:
    """Lines over a common horizontal axis; the vertical axis starts at 0."""

    title: str
    x_label: str
    lines: Mapping[str, Sequence[Point]]  # name: points by ascending x
    x_ticks: Sequence[float] = ()  # the axis spans them; without ticks it starts at 0
    last_values: bool = True  # whether the legend shows the last value of each line


@dataclass(frozen=True)
class DrawnChart:
    """A chart laid out in user units."""

    title: str
    x_label: str
    axes: Axes
    lines: list[tuple[str, str, str]]  # (name, last value or "", points of a polyline)


def draw_chart(chart: Chart) -> DrawnChart | None:
    """Lay out a chart without the points that are NaN or infinite; return None if no point is left."""
    lines = {name: _subsample(list(filter(_is_finite, points))) for name, points in chart.lines.items()}
    lines = {name: points for name, points in lines.items() if points}
    if not lines:
        return None
    x_axis = axis_of_ticks(chart.x_ticks) if chart.x_ticks else axis_from_zero(_largest(lines, 0))
    axes = Axes(x_axis, axis_from_zero(_largest(lines, 1)), WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM)
    drawn = [
        (name, f"{points[-1][1]:.3g}" * chart.last_values, polyline(axes, _duplicate_single_point(points)))
        for name, points in lines.items()
    ]
    return DrawnChart(chart.title, chart.x_label, axes, drawn)


def training_charts(rows: Sequence[Mapping[str, object]], x: str = "epoch") -> tuple[Chart, ...]:
    """Return the charts of a training run: average precision, and the training and validation losses.

    Args:
        rows: the lines of `metrics.jsonl`; a row need not have every key. A loss is a key that occurs both with and
            without the prefix "val/".
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


def polyline(axes: Axes, points: Sequence[Point]) -> str:
    """Return the `points` attribute of an SVG polyline."""
    return " ".join("{:.1f},{:.1f}".format(*axes.place(x, y)) for x, y in points)


def _largest(lines: Mapping[str, Sequence[Point]], axis: int) -> float:
    return max(point[axis] for points in lines.values() for point in points)


def _line(rows: Sequence[Mapping[str, object]], x: str, y: str) -> list[Point]:
    pairs = ((row.get(x), row.get(y)) for row in rows)
    return [(float(a), float(b)) for a, b in pairs if isinstance(a, int | float) and isinstance(b, int | float)]


def _is_finite(point: Point) -> bool:
    return all(map(math.isfinite, point))


def _duplicate_single_point(points: list[Point]) -> list[Point]:
    """Double a lone point: a polyline of one point draws nothing, one of two equal points draws a round cap."""
    return points * 2 if len(points) == 1 else points


def _subsample(points: list[Point]) -> list[Point]:
    """Return every k-th point, and the last."""
    every = math.ceil(len(points) / MAX_POINTS)
    return points[:-1:every] + points[-1:] if every > 1 else points
