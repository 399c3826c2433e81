"""The best anchor of every box against a search of all anchors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from anchorloc.anchors import AnchorGenerator
from anchorloc.assign import best_anchors
from tests.assign.assign_twins import Scene, iou_matrix, scenes, squared_distances


@given(scenes())
def test_best_anchors_equal_a_search_of_all(scene: Scene) -> None:
    found, anchors = best_anchors(scene.grid, scene.boxes)
    iou = iou_matrix(scene.grid, scene.boxes)
    for row, box in enumerate(scene.boxes):
        best = np.lexsort((np.arange(len(scene.grid)), squared_distances(scene.grid, box), -iou[:, row]))[0]
        assert found[row] == iou[best, row]
        assert anchors[row] == (best if iou[best, row] > 0 else -1)


def test_a_bad_box_is_named() -> None:
    grid = AnchorGenerator(strides=(8,))((16, 16))
    assert [len(part) for part in best_anchors(grid, [])] == [0, 0]
    with pytest.raises(ValueError, match=r"boxes\[1\] is \(5.0, 0.0, 1.0, 2.0\)"):
        best_anchors(grid, [[0, 0, 1, 1], [5, 0, 1, 2]])
