"""The size of a padded image, and its pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anchorloc.structures import Color, Size


def pad_to_multiple(size: Sequence[int], multiple: int) -> Size:
    """Return (height, width) rounded up to multiples of `multiple`."""
    height, width = (-(-side // multiple) * multiple for side in size)
    return height, width


def pad_images(images: Sequence[NDArray[Any]], size: Size, fill: Color) -> NDArray[Any]:
    """Return images (H, W, 3) as one array (B, height, width, 3), padded with `fill` at the right and at the bottom."""
    batch = np.empty((len(images), *size, 3), images[0].dtype)
    color = np.array(fill).round() if batch.dtype == np.uint8 else np.array(fill)
    for slot, image in zip(batch, images, strict=True):
        slot[: image.shape[0], : image.shape[1]] = image
        slot[image.shape[0] :] = color
        slot[: image.shape[0], image.shape[1] :] = color
    return batch
