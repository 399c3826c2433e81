"""Boxes for property tests: touching, nested and empty ones are common, and numbers go as far as is promised.

Hypothesis draws bytes, a few microseconds where a list of floats takes milliseconds, and NumPy makes numbers of them:
so hundreds of examples of each property take less than a second. All bytes zero are boxes at the origin, and shorter is
simpler, so that failures shrink as usual.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from numpy.typing import DTypeLike, NDArray

many = settings(max_examples=500 if os.environ.get("CI") else 200)

FLOATS = st.sampled_from([np.float32, np.float64])
DRAWN = np.dtype([("kind", np.uint8), ("value", np.uint64)])  # one number comes from these
Numbers = Callable[[NDArray[Any], DTypeLike], NDArray[Any]]  # from (N,) DRAWN to (N,) of a float type


def whole(limit: int) -> Numbers:
    """Whole numbers from -limit to limit."""

    def numbers(drawn: NDArray[Any], dtype: DTypeLike) -> NDArray[Any]:
        span = np.uint64(2 * limit + 1)
        shifted = (drawn["value"] + np.uint64(limit)) % span
        return np.asarray(shifted.astype(np.int64) - limit, dtype)

    return numbers


GRID = whole(8)  # sums and products of these are exact in float32


def coordinates(limit: float = 1e9) -> Numbers:
    """Finite numbers up to the limit and of any magnitude below, as often as not on the grid, and none so small that
    its square is 0."""

    def numbers(drawn: NDArray[Any], dtype: DTypeLike) -> NDArray[Any]:
        share = drawn["value"].astype(np.int64) / 2.0**63  # -1 to 1
        real = limit * share * 2.0 ** -(drawn["kind"] >> 2).astype(np.float64)
        real[np.abs(real) < 1e-6] = 0
        return np.where(drawn["kind"] & 1, real.astype(dtype), GRID(drawn, dtype))

    return numbers


def finite(drawn: NDArray[Any], dtype: DTypeLike) -> NDArray[Any]:
    """Any finite number."""
    size = np.dtype(dtype).itemsize
    numbers = drawn["value"].astype(f"u{size}").view(dtype)
    return np.where(np.isfinite(numbers), numbers, np.asarray(0, dtype))


@st.composite
def values(draw: st.DrawFn, dtype: DTypeLike, numbers: Numbers, count: int) -> NDArray[Any]:
    """(count,) numbers."""
    size = DRAWN.itemsize * count
    return numbers(np.frombuffer(draw(st.binary(min_size=size, max_size=size)), DRAWN), dtype)


@st.composite
def boxes(
    draw: st.DrawFn, dtype: DTypeLike = np.float64, numbers: Numbers | None = None, max_size: int = 6
) -> NDArray[Any]:
    """(N, 4) boxes, N up to max_size."""
    count = draw(st.integers(0, max_size))
    corners = draw(values(dtype, numbers or coordinates(), 4 * count)).reshape(count, 2, 2)
    return np.sort(corners, axis=1).reshape(count, 4)


@st.composite
def two_sets(draw: st.DrawFn, numbers: Numbers | None = None) -> tuple[NDArray[Any], NDArray[Any]]:
    """Two sets of boxes of one float type."""
    dtype = draw(FLOATS)
    return draw(boxes(dtype, numbers)), draw(boxes(dtype, numbers))
