"""Quantiles of Student's t, without a statistics library."""

from __future__ import annotations

import numpy as np

from anchorloc.structures import Float64Array

GRID = 2001  # points of the numeric integral
MAX_FREEDOM = 1000.0  # more degrees of freedom change a quantile by a thousandth at most


def critical_t(p: float, freedom: float) -> float:
    """Return the t that |T| exceeds with probability `p`, for `freedom` degrees of freedom.

    Raises:
        ValueError: there is less than 1 degree of freedom.
    """
    freedom = min(freedom, MAX_FREEDOM)
    angle, probability = _distribution(freedom)
    return float(np.sqrt(freedom) * np.tan(np.interp(1 - p, probability, angle)))


def _distribution(freedom: float) -> tuple[Float64Array, Float64Array]:
    """Return angles and P(|T| <= t) for t = sqrt(freedom) * tan(angle); the density is cos(angle)**(freedom - 1)."""
    if not freedom >= 1:
        raise ValueError(f"need at least 1 degree of freedom, got {freedom}")
    angle = np.linspace(0, np.pi / 2, GRID)
    density = np.cos(angle).clip(0) ** (freedom - 1)
    mass = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    return angle, mass / mass[-1]
