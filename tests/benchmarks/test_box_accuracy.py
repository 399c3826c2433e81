"""The overlap measures against longdouble, on boxes where a careless formula loses its digits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from anchorloc import boxes as library
from benchmarks.box_accuracy import measure


@pytest.mark.parametrize("seed", range(3))
def test_no_measure_is_further_off_than_allowed(seed: int) -> None:
    rows = measure(80, seed)
    assert len(rows) == 2 * 10 * 5
    assert [row for row in rows if row["beyond"]] == []


def test_a_value_that_is_off_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    real = library.box_iou

    def off_once(first: Any, second: Any) -> Any:
        matrix = real(first, second)
        matrix[0, 0] = np.nan if matrix.dtype == np.float64 else matrix[0, 0] + 3e-5
        return matrix

    monkeypatch.setattr(library, "box_iou", off_once)
    beyond = {(row["type"], row["measure"]): row["beyond"] for row in measure(10, 0)}
    assert beyond["float64", "box_iou"] == beyond["float32", "box_iou"] == 1
    assert beyond["float64", "box_ioa"] == 0
