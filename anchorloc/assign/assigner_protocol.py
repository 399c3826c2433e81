"""What an assigner of the user's own must be."""

from __future__ import annotations

from typing import Protocol

from anchorloc.structures import AnchorGrid, Assignment, BoolArray, FloatArray


class AssignerProtocol(Protocol):
    """An assigner takes an AnchorGrid, boxes (M, 4) in pixels and crowd (M,) bool, and returns an Assignment: positive
    anchors (P,), ascending, with the box row of each, and ignored anchors (I,), all int64.

    A positive anchor overlaps its box (IoU above 0), and its cell center lies inside the image (`grid.taking_part`).
    A crowd box has no positive. `unassigned` are the rows of the other boxes without one. It runs in the workers of
    the loader, on NumPy arrays, before the network. Every assignment is checked.
    """

    def __call__(self, grid: AnchorGrid, boxes: FloatArray, crowd: BoolArray) -> Assignment:
        """Return the anchors that learn each box."""
