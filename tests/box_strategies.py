"""Boxes for property tests: touching, nested and empty ones are common, and numbers go as far as is promised."""

from __future__ import annotations

import os
from typing import Any, Literal

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import DTypeLike, NDArray

many = settings(max_examples=2000 if os.environ.get("CI") else 200)

FLOATS = st.sampled_from([np.float32, np.float64])
GRID = st.integers(-8, 8).map(float)  # sums and products of these are exact in float32


def width(dtype: DTypeLike) -> Literal[32, 64]:
    """The bits of a float type."""
    return 32 if np.dtype(dtype) == np.float32 else 64


def coordinates(dtype: DTypeLike, limit: float = 1e9) -> st.SearchStrategy[float]:
    """Finite numbers up to the limit, as often as not on the grid, and none so small that its square is 0."""
    bound = float(np.array(limit, dtype))
    real = st.floats(-bound, bound, width=width(dtype), allow_subnormal=False)
    return GRID | real.map(lambda x: x if abs(x) > 1e-6 else 0.0)


def finite(dtype: DTypeLike) -> st.SearchStrategy[float]:
    """Any finite number."""
    return st.floats(allow_nan=False, allow_infinity=False, width=width(dtype))


@st.composite
def boxes(
    draw: st.DrawFn,
    dtype: DTypeLike = np.float64,
    elements: st.SearchStrategy[float] | None = None,
    min_size: int = 0,
    max_size: int = 6,
) -> NDArray[Any]:
    """(N, 4) boxes, N from min_size to max_size."""
    count = draw(st.integers(min_size, max_size))
    corners = draw(arrays(dtype, (count, 2, 2), elements=coordinates(dtype) if elements is None else elements))
    return np.sort(corners, axis=1).reshape(count, 4)


@st.composite
def two_sets(draw: st.DrawFn, elements: st.SearchStrategy[float] | None = None) -> tuple[NDArray[Any], NDArray[Any]]:
    """Two sets of boxes of one float type."""
    dtype = draw(FLOATS)
    return draw(boxes(dtype, elements)), draw(boxes(dtype, elements))
