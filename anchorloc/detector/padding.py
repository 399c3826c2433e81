"""The size of a padded image."""

from __future__ import annotations

from collections.abc import Sequence

from anchorloc.structures import Size


def pad_to_multiple(size: Sequence[int], multiple: int) -> Size:
    """Return (height, width) rounded up to multiples of `multiple`."""
    height, width = (-(-side // multiple) * multiple for side in size)
    return height, width
