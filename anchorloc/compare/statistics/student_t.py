"""Student's t: its quantiles, without a statistics library."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float64Array = NDArray[np.float64]
GRID = 2001  # points of the numeric integral
MOST_FREEDOM = 1000.0  # more degrees are taken for so many: quantiles change by a thousandth at most


def two_sided_p(t: Float64Array | float, freedom: float) -> Float64Array:
    """Return P(|T| > t) of Student's t with `freedom` degrees, at least 1, for t from 0."""
    freedom = min(freedom, MOST_FREEDOM)
    angle, inside = _inside(freedom)
    return np.asarray(1 - np.interp(np.arctan(np.asarray(t) / np.sqrt(freedom)), angle, inside))


def critical(p: float, freedom: float) -> float:
    """Return the t that |T| passes with probability `p`."""
    freedom = min(freedom, MOST_FREEDOM)
    angle, inside = _inside(freedom)
    return float(np.sqrt(freedom) * np.tan(np.interp(1 - p, inside, angle)))


def _inside(freedom: float) -> tuple[Float64Array, Float64Array]:
    """P(|T| <= t) on a grid of angles, t = sqrt(freedom) * tan(angle): the density there is cos(angle)**(freedom - 1).

    Raises:
        ValueError: there are fewer degrees than 1.
    """
    if not freedom >= 1:
        raise ValueError(f"need at least 1 degree of freedom, got {freedom}")
    angle = np.linspace(0, np.pi / 2, GRID)
    density = np.cos(angle).clip(0) ** (freedom - 1)
    mass = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    return angle, mass / mass[-1]
