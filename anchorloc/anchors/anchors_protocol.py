"""What an anchor generator of the user's own must be."""

from __future__ import annotations

from typing import Protocol

from anchorloc.structures import AnchorGrid, Size


class AnchorsProtocol(Protocol):
    """An anchor generator has strides and shapes_per_level, and takes the (height, width) of a padded image in pixels
    and returns an AnchorGrid with one AnchorLevel per stride.

    A level has the cells of its feature map: ceil(height / stride) rows and ceil(width / stride) columns. The
    four tables of an `AnchorLevel` are float32. An `AnchorGenerator` gives such a grid for shapes that do not depend
    on the image.
    """

    @property
    def strides(self) -> tuple[float, ...]:
        """Pixels between the cells of each level, fine to coarse."""

    @property
    def shapes_per_level(self) -> tuple[int, ...]:
        """The number of anchors in a cell of each level; the head predicts as many."""

    def __call__(self, image_size: Size) -> AnchorGrid:
        """Return the anchors of an image of (height, width) pixels."""
