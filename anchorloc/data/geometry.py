"""Where each pixel and box of an image goes on its way to the network, without pixels."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import numpy as np

from anchorloc.data.resize import Scale, Size
from anchorloc.structures import FloatArray, Target

MIN_VISIBLE = 0.25  # the share of a box that a crop must leave; a box whose center is visible has as much


@dataclass(frozen=True)
class Geometry:
    """A window of the image is scaled to the size `part`, mirrored, and put at `offset` on an empty canvas.

    All sizes and places are in whole pixels, (vertical, horizontal).
    """

    source: Size  # of the image as annotated
    shrunk: Size  # of the image that the window is cut from
    corner: tuple[int, int]  # of the window in the shrunk image
    window: Size
    part: Size
    offset: tuple[int, int]
    canvas: Size
    mirrored: tuple[bool, bool] = (False, False)  # upside down, left to right

    @property
    def scale(self) -> tuple[float, float]:
        """(vertical, horizontal) canvas pixels for one pixel of the annotated image."""
        vertical, horizontal = (
            self.part[axis] / self.window[axis] * (self.shrunk[axis] / self.source[axis]) for axis in (0, 1)
        )
        return vertical, horizontal

    def map_boxes(self, boxes: FloatArray) -> FloatArray:
        """Map (M, 4) boxes of the annotated image to canvas pixels; they may leave the canvas."""
        mapped = np.empty_like(boxes)
        for axis, edges in ((0, [1, 3]), (1, [0, 2])):
            start = self.offset[axis] - self.corner[axis] * self.part[axis] / self.window[axis]
            mapped[:, edges] = boxes[:, edges] * self.scale[axis] + start
            if self.mirrored[axis]:
                mapped[:, edges] = 2 * self.offset[axis] + self.part[axis] - mapped[:, edges[::-1]]
        return mapped

    def map_target(self, target: Target) -> Target:
        """Map the boxes of the image and clip them to the part of the canvas that shows the image.

        A box that is cut is kept if at least MIN_VISIBLE of its area is visible.
        """
        whole = self.map_boxes(target.boxes)
        low = np.array([self.offset[1], self.offset[0]])
        high = low + np.array([self.part[1], self.part[0]])
        boxes: FloatArray = np.minimum(np.maximum(whole, np.tile(low, 2)), np.tile(high, 2))
        visible, area = _area(boxes), _area(whole)
        keep = (visible > 0) & (visible >= MIN_VISIBLE * area)
        return Target(boxes, target.labels, target.crowd, target.area, target.rows).take(keep)


def place(source: Size, shrunk: Size, canvas: Size, scale: Scale, random: Random | None = None) -> Geometry:
    """Put a shrunk image on its canvas at `scale`: at random if `random` is given, else at the top left.

    What is larger than the canvas is cropped, what is smaller leaves room to fill.
    """
    (height, down), (width, across) = (_fit(shrunk[axis], canvas[axis], scale[axis]) for axis in (0, 1))
    window, part = (height, width), (down, across)
    corner = _start(shrunk[0] - window[0], random), _start(shrunk[1] - window[1], random)
    offset = _start(canvas[0] - part[0], random), _start(canvas[1] - part[1], random)
    return Geometry(source, shrunk, corner, window, part, offset, canvas)


def _fit(length: int, room: int, scale: float) -> tuple[int, int]:
    """Return how many of `length` pixels fit into `room` at `scale`, and how many they become.

    What is cut fills its room to the last pixel, whatever rounding makes of the scale.
    """
    if length * scale <= room + 0.5:
        return length, min(room, max(1, round(length * scale)))
    return min(length, max(1, round(room / scale))), room


def _start(room: int, random: Random | None) -> int:
    return 0 if random is None else int(random.random() * (room + 1))


def _area(boxes: FloatArray) -> FloatArray:
    area: FloatArray = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return area
