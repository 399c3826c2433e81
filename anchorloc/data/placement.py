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

    def map_target(self, target: Target, min_visible: float = MIN_VISIBLE) -> Target:
        """Map the boxes of the image and clip them to the part of the canvas that shows the image.

        A box that is cut keeps its label if at least the share `min_visible` of its area is visible, and some of it.
        """
        whole = self.map_boxes(target.boxes)
        low = np.array([self.offset[1], self.offset[0]])
        high = low + np.array([self.part[1], self.part[0]])
        boxes: FloatArray = np.minimum(np.maximum(whole, np.tile(low, 2)), np.tile(high, 2))
        visible, area = _area(boxes), _area(whole)
        keep = (visible > 0) & (visible >= min_visible * area)
        return Target(boxes, target.labels, target.crowd, target.area, target.rows).take(keep)


def place(
    source: Size,
    shrunk: Size,
    canvas: Size,
    scale: Scale,
    random: Random | None = None,
    window: tuple[Size, Size] | None = None,
) -> Geometry:
    """Put a shrunk image on its canvas at `scale`: at random if `random` is given, else at the top left.

    What is larger than the canvas is cropped, what is smaller leaves room to fill.

    Args:
        window: (corner, size) of the only part of the shrunk image that may be shown, if not all of it.
    """
    (top, left), (height, width) = window or ((0, 0), shrunk)
    (tall, down), (wide, across) = (_fit(height, canvas[0], scale[0]), _fit(width, canvas[1], scale[1]))
    corner = top + _start(height - tall, random), left + _start(width - wide, random)
    offset = _start(canvas[0] - down, random), _start(canvas[1] - across, random)
    return Geometry(source, shrunk, corner, (tall, wide), (down, across), offset, canvas)


def visible_share(boxes: FloatArray, window: tuple[int, int, int, int]) -> tuple[FloatArray, FloatArray]:
    """Return for each of (M, 4) boxes the share of its area inside `window` (xyxy), and its IoU with it."""
    low, high = np.array(window[:2]), np.array(window[2:])
    inside: FloatArray = np.minimum(np.maximum(boxes, np.tile(low, 2)), np.tile(high, 2))
    shared, area = _area(inside), _area(boxes)
    union = area + np.prod(high - low) - shared
    return np.divide(shared, area, out=np.zeros_like(shared), where=area > 0), shared / union


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
