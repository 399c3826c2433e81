"""The axes of an SVG chart: margins, round ticks, and where a point lies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Axis:
    """One axis of a chart, linear or logarithmic."""

    low: float  # the value at its start
    high: float
    ticks: Sequence[float]
    log: bool = False

    def fraction(self, value: float) -> float:
        """Return where a value lies: 0 at the start of the axis, 1 at its end."""
        if self.log:
            low = math.log2(self.low)
            return (math.log2(value) - low) / (math.log2(self.high) - low)
        return (value - self.low) / (self.high - self.low)


@dataclass(frozen=True)
class Axes:
    """Two axes around the plot area of an SVG; all lengths are in its user units."""

    x: Axis
    y: Axis
    width: int  # size of the SVG
    height: int
    left: int  # the edges of the plot area
    right: int
    top: int
    bottom: int

    def place_x(self, value: float) -> float:
        """Return how far from the left a value lies."""
        return self.left + self.x.fraction(value) * (self.right - self.left)

    def place_y(self, value: float) -> float:
        """Return how far from the top a value lies; what is below the axis lies on it."""
        return self.bottom - self.y.fraction(max(value, self.y.low)) * (self.bottom - self.top)

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Return the place of a point."""
        return self.place_x(x), self.place_y(y)

    @property
    def x_ticks(self) -> list[tuple[float, str]]:
        """The place and the text of each tick."""
        return [(self.place_x(tick), f"{tick:g}") for tick in self.x.ticks]

    @property
    def y_ticks(self) -> list[tuple[float, str]]:
        """The place and the text of each tick."""
        return [(self.place_y(tick), f"{tick:g}") for tick in self.y.ticks]


def axis_from_zero(largest: float) -> Axis:
    """Return a linear axis from 0 to the first round number that is at least `largest`."""
    return axis_of_ticks(round_ticks(largest))


def axis_around(low: float, high: float) -> Axis:
    """Return a linear axis between round numbers around all values, from 0 if `low` is under half of `high`.

    Args:
        low: the least value, at least 0.
        high: the greatest value.
    """
    if low < high / 2 or high <= 0:
        return axis_from_zero(high)
    margin = max(high - low, 0.05 * high) / 10
    step = round_ticks(high - low + 2 * margin)[1]
    first, last = math.floor((low - margin) / step + 1e-9), math.ceil((high + margin) / step - 1e-9)
    return axis_of_ticks([round(step * place, 12) for place in range(first, last + 1)])


def axis_of_ticks(ticks: Sequence[float]) -> Axis:
    """Return a linear axis from the first to the last tick."""
    return Axis(ticks[0], ticks[-1], ticks)


def round_ticks(largest: float) -> list[float]:
    """Return 3 to 6 round numbers from 0 to at least `largest`."""
    if largest <= 0:
        return [0.0, 1.0]
    rough = largest / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * (1 - 1e-9))
    return [round(step * index, 12) for index in range(math.ceil(largest / step - 1e-9) + 1)]
