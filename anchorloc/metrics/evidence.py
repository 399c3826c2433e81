"""How much data a score needs before it gets an interval or a verdict."""

from __future__ import annotations

from typing import Final

import numpy as np

from anchorloc.structures import BoolArray, IntArray

MIN_BOXES: Final = 10  # to find
MIN_IMAGES: Final = 10  # with such a box
NO_WIDTH: Final = 1e-9  # an interval this narrow holds rounding alone


def too_few(boxes: int, images: int) -> bool:
    """Return whether a score about so many boxes, in so many images, shows next to nothing."""
    return boxes < MIN_BOXES or images < MIN_IMAGES


def too_few_of_each(images: IntArray, groups: IntArray, count: int) -> BoolArray:
    """Return which of `count` groups of boxes have too few boxes, or too few images with one (count,).

    Args:
        images: (G,) the image of each box.
        groups: (G,) the group of each box, from 0 to count - 1.
    """
    width = int(images.max(initial=0)) + 1
    with_box = np.bincount(np.unique(groups * width + images) // width, minlength=count)
    return np.asarray((np.bincount(groups, minlength=count) < MIN_BOXES) | (with_box < MIN_IMAGES))
