"""From the anchor of a detection to its level and shape."""

from __future__ import annotations

import numpy as np

from anchorloc.engine.judge_model import anchor_usage
from anchorloc.structures import Detections
from tests.engine.small_runs import small


def test_every_anchor_is_named_by_its_level_and_shape() -> None:
    config = small("anchors={strides: [8, 16], scales: [4, 5], height_to_width: [1, 2]}")
    sizes = [(64, 96), (96, 64)]
    grids = [config.anchors(size) for size in sizes]
    every = [np.arange(len(grid)) for grid in grids]
    detections = [
        Detections(grid.boxes, np.ones(len(grid)), np.zeros(len(grid), np.int64), anchors, image)
        for image, (grid, anchors) in enumerate(zip(grids, every, strict=True))
    ]
    usage = anchor_usage(config, detections, sizes)
    assert usage is not None
    boxes = np.concatenate([grid.boxes for grid in grids])
    expected = [usage.shapes[level][shape] for level, shape in zip(usage.level, usage.shape, strict=True)]
    assert np.allclose(boxes[:, 2:] - boxes[:, :2], expected, atol=1e-3)
    assert list(usage.strides) == [8, 16]
    assert np.allclose(usage.anchors, [0.8, 0.2])
    assert anchor_usage(config, [], []) is None
