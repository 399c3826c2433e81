"""Orders by radix are NumPy's stable orders."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorloc.metrics.orders import ascending_order, descending_order


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.0, -0.0, 0.5, 0.25, -1.0, 5e-324]))
)
def test_finite_numbers_from_the_highest(scores: list[float]) -> None:
    values = np.array(scores, np.float64)
    assert descending_order(values).tolist() == np.argsort(-values, kind="stable").tolist()


def test_many_scores_with_ties() -> None:
    scores = np.random.default_rng(0).random(50_000).round(3)
    assert np.array_equal(descending_order(scores), np.argsort(-scores, kind="stable"))


@pytest.mark.parametrize("count", [1, 300, 1 << 16, (1 << 16) + 1, 1 << 40])
def test_whole_numbers(count: int) -> None:
    values = np.random.default_rng(count).integers(max(0, count - 500), count, 2000)
    assert np.array_equal(ascending_order(values, count), np.argsort(values, kind="stable"))
