"""Draw AP against cost as one SVG, which also works as a file of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from anchorloc.compare.report.result import MEASURE_COLUMNS, SettingRow, StudyResult
from anchorloc.report.axes import Axes, axis_around
from anchorloc.report.html import render
from anchorloc.text import shorten

COSTS = ("latency_ms", "head_mflops")
PANEL, HEIGHT = 420, 250  # user units: width of a panel, height without the key
LEFT, RIGHT, TOP, BOTTOM = 44, 16, 14, 40
KEY_LINE = 19
APART = 20  # user units between the circles of two settings


@dataclass(frozen=True)
class Dot:
    """One setting in a panel, in user units."""

    number: int
    x: float
    y: float
    beside: float  # where the circle with the number is, moved sideways so that none hides another
    low: float
    high: float
    front: bool  # on the Pareto front
    words: str


@dataclass(frozen=True)
class Panel:
    """AP over one measure of cost."""

    label: str
    axes: Axes
    dots: list[Dot]
    front: str  # points of a polyline


def pareto_front(costs: Sequence[float], scores: Sequence[float]) -> list[int]:
    """Return the indices of the Pareto front by ascending cost: points that no other point dominates."""
    points = list(zip(costs, scores, strict=True))

    def dominated(cost: float, score: float) -> bool:
        return any(c <= cost and s >= score and (c, s) != (cost, score) for c, s in points)

    free = [place for place, point in enumerate(points) if not dominated(*point)]
    return sorted(free, key=lambda place: points[place])


def pareto_svg(result: StudyResult) -> str | None:
    """Return the SVG of the measured settings; None if there are none."""
    rows = [(number, row) for number, row in enumerate(result.rows, 1) if row.measures and row.ap]
    if not rows:
        return None
    panels = [_panel(key, PANEL * place, rows) for place, key in enumerate(COSTS)]
    half = -(-len(rows) // 2)
    key = [
        (PANEL * (place // half) + LEFT, HEIGHT + KEY_LINE * (place % half + 1) - 6, number, shorten(row.name))
        for place, (number, row) in enumerate(rows)
    ]
    return render(
        "compare/report/pareto.svg",
        "AP against cost",
        {},
        [],
        panels=panels,
        key=key,
        width=PANEL * len(panels),
        height=HEIGHT + KEY_LINE * half + 6,
    )


def _panel(key: str, start: int, rows: Sequence[tuple[int, SettingRow]]) -> Panel:
    column = next(column for column in MEASURE_COLUMNS if column.key == key)
    costs = [float(getattr(row.measures, key)) for _, row in rows]
    aps = [row.ap for _, row in rows if row.ap is not None]
    x_axis = axis_around(min(costs), max(costs))
    y_axis = axis_around(max(0.0, min(ap.low for ap in aps)), max(0.01, *(ap.high for ap in aps)))
    axes = Axes(x_axis, y_axis, PANEL, HEIGHT, start + LEFT, start + PANEL - RIGHT, TOP, HEIGHT - BOTTOM)
    best = pareto_front(costs, [ap.value for ap in aps])
    places = [axes.place(cost, ap.value) for cost, ap in zip(costs, aps, strict=True)]
    dots = [
        Dot(
            number,
            *at,
            beside,
            axes.place_y(ap.low),
            axes.place_y(ap.high),
            place in best,
            _tooltip(row, column.text(row.measures)),
        )
        for place, ((number, row), cost, ap, at, beside) in enumerate(
            zip(rows, costs, aps, places, circles_apart(places), strict=True)
        )
    ]
    return Panel(
        label=column.label,
        axes=axes,
        dots=dots,
        front=" ".join(f"{dots[place].x:.1f},{dots[place].y:.1f}" for place in best),
    )


def circles_apart(places: Sequence[tuple[float, float]]) -> list[float]:
    """Return where the circle of each point goes, as near to its point as those before it allow."""
    taken: list[tuple[float, float]] = []
    for x, y in places:
        steps = (sign * step * APART / 2 for step in range(4 * len(places)) for sign in (1, -1))
        near = [other for other, height in taken if abs(y - height) < APART]
        taken.append((next(x + step for step in steps if all(abs(x + step - other) >= APART for other in near)), y))
    return [x for x, _ in taken]


def _tooltip(row: SettingRow, cost: str) -> str:
    ap = f"{row.ap.value:.3f}" if row.ap else "n/a"
    return f"{shorten(row.name)}: AP {ap}, {cost}"
