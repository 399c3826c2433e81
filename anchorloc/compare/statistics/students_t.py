"""Quantiles and p-values of Student's t, for any degrees of freedom from 1."""

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
    angle, probability = _distribution(freedom)
    return float(np.sqrt(min(freedom, MAX_FREEDOM)) * np.tan(np.interp(1 - p, probability, angle)))


def two_sided_p(t: float, freedom: float) -> float:
    """Return the probability that |T| exceeds |t|, for `freedom` degrees of freedom.

    Raises:
        ValueError: there is less than 1 degree of freedom.
    """
    angle, probability = _distribution(freedom)
    return float(1 - np.interp(np.arctan(abs(t) / np.sqrt(min(freedom, MAX_FREEDOM))), angle, probability))


def _distribution(freedom: float) -> tuple[Float64Array, Float64Array]:
    """Return angles and P(|T| <= t) for t = sqrt(freedom) * tan(angle); the density is cos(angle)**(freedom - 1)."""
    if not freedom >= 1:
        raise ValueError(f"need at least 1 degree of freedom, got {freedom}")
    angle = np.linspace(0, np.pi / 2, GRID)
    density = np.cos(angle).clip(0) ** (min(freedom, MAX_FREEDOM) - 1)
    mass = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    return angle, mass / mass[-1]
