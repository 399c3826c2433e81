"""What the anchors can learn of a data set, told before the training is paid for."""

from __future__ import annotations

import numpy as np

from anchorloc.config import Config
from anchorloc.data import Source

ENOUGH = 1000  # images, spread over the data set: the share is then known to about a percent


def coverage(config: Config, source: Source) -> str:
    """Return a sentence with the share of boxes that some anchor learns, at the sizes of validation."""
    multiple = config.multiple
    boxes = unassigned = 0
    indices = np.unique(np.linspace(0, len(source) - 1, min(ENOUGH, len(source))).astype(int)).tolist()
    for index in indices:
        target, geometry = config.transform.boxes(source.size(index), source.training_target(index))
        grid = config.anchors([-(-side // multiple) * multiple for side in geometry.canvas])
        boxes += int((~target.crowd).sum())
        unassigned += len(config.assign(grid, target.boxes, target.crowd).unassigned)
    share = 1 - unassigned / max(boxes, 1)
    where = "" if len(indices) == len(source) else f" in {len(indices):,} of the images"
    return f"anchors: {share:.1%} of {boxes:,} boxes{where} have an anchor that learns them ({unassigned:,} have none)"
