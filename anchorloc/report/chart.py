"""A line chart as the numbers that an SVG needs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 460, 240  # user units of the SVG
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 12, 34  # margins
MOST_POINTS = 300  # of a line: more than its pixels is weight for nothing


@dataclass(frozen=True)
class Chart:
    """Lines over a common axis; the vertical one starts at 0."""

    title: str
    x_label: str
    lines: Mapping[str, Sequence[tuple[float, float]]]  # name: (x, y) points by ascending x
    x_ticks: Sequence[float] = ()  # where the horizontal axis does not start at 0: its ends and what is between
    last_values: bool = True  # whether the last value of a line is what a reader wants to know of it


@dataclass(frozen=True)
class DrawnChart:
    """A chart laid out in user units."""

    title: str
    x_label: str
    x_ticks: list[tuple[float, str]]  # (x, text)
    y_ticks: list[tuple[float, str]]
    lines: list[tuple[str, str, str]]  # (name, last value or nothing, points of a polyline)
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    bottom: int = HEIGHT - BOTTOM


def draw_chart(chart: Chart) -> DrawnChart | None:
    """Lay out a chart; points that are not finite are left out. None if no line has a point."""
    lines = {name: _thinned([p for p in points if all(map(math.isfinite, p))]) for name, points in chart.lines.items()}
    lines = {name: points for name, points in lines.items() if points}
    if not lines:
        return None
    x_ticks = list(chart.x_ticks) or ticks(max(x for points in lines.values() for x, _ in points))
    y_ticks = ticks(max(y for points in lines.values() for _, y in points))

    def place(x: float, y: float) -> tuple[float, float]:
        across = LEFT + (x - x_ticks[0]) / (x_ticks[-1] - x_ticks[0]) * (WIDTH - LEFT - RIGHT)
        return across, HEIGHT - BOTTOM - max(y, 0) / y_ticks[-1] * (HEIGHT - TOP - BOTTOM)

    return DrawnChart(
        title=chart.title,
        x_label=chart.x_label,
        x_ticks=[(place(x, 0)[0], f"{x:g}") for x in x_ticks],
        y_ticks=[(place(0, y)[1], f"{y:g}") for y in y_ticks],
        lines=[
            (
                name,
                f"{points[-1][1]:.3g}" * chart.last_values,
                " ".join("{:.1f},{:.1f}".format(*place(x, y)) for x, y in _drawable(points)),
            )
            for name, points in lines.items()
        ],
    )


def ticks(largest: float) -> list[float]:
    """Return 3 to 6 round numbers from 0 to at least `largest`."""
    if largest <= 0:
        return [0.0, 1.0]
    rough = largest / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * (1 - 1e-9))
    return [round(step * index, 12) for index in range(math.ceil(largest / step - 1e-9) + 1)]


def _drawable(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Double a lone point: with round caps a line from it to itself is a dot, and a line of one point is nothing."""
    return points * 2 if len(points) == 1 else points


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return every k-th point, and the last."""
    every = math.ceil(len(points) / MOST_POINTS)
    return points[:-1:every] + points[-1:] if every > 1 else points
