"""One anchor: the image itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from anchorloc.anchors.checks import image_size_checked
from anchorloc.structures import AnchorGrid, AnchorLevel


@dataclass(frozen=True)
class WholeImageAnchor:
    """Give an image one anchor that covers it, for networks that predict one box per image."""

    def __call__(self, image_size: Sequence[int]) -> AnchorGrid:
        """Return the grid of one anchor of an image of (height, width) pixels.

        Raises:
            ValueError: a size is below 1.
        """
        size = image_size_checked(image_size)
        height, width = float(size[0]), float(size[1])
        x1, y1, x2, y2 = (np.array([[edge]], np.float32) for edge in (0, 0, width, height))
        return AnchorGrid(size, (AnchorLevel((height, width), (height / 2, width / 2), x1, y1, x2, y2),))
