"""Where the pixels and boxes of an image go in the picture for the network, computed without pixels."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import numpy as np

from anchorloc.structures import Extent, FloatArray, Scale, Size, Target

MIN_VISIBLE = 0.25  # fraction of a box's area; a box whose center is visible shows at least this much
ROUNDING = 1e-6  # pixels; an edge that a border cuts by less lies on the border


@dataclass(frozen=True)
class Placement:
    """A crop of the shrunk image is resized, mirrored, and put at `offset` on an empty canvas.

    All sizes and positions are in whole pixels, (vertical, horizontal).
    """

    source: Size  # the annotated image
    shrunk: Size  # the image that is cropped
    crop_corner: tuple[int, int]  # top left of the crop in the shrunk image
    crop_size: Size
    resized_size: Size  # the crop after resizing
    offset: tuple[int, int]  # top left of the resized crop on the canvas
    canvas: Size
    mirrored: tuple[bool, bool] = (False, False)  # (top to bottom, left to right)

    @property
    def scale(self) -> Scale:
        """(vertical, horizontal) canvas pixels per pixel of the annotated image."""
        vertical, horizontal = (
            self.resized_size[axis] / self.crop_size[axis] * (self.shrunk[axis] / self.source[axis]) for axis in (0, 1)
        )
        return vertical, horizontal

    @property
    def extent(self) -> Extent:
        """The part of the canvas that shows the image: top, left, bottom, right."""
        (top, left), (height, width) = self.offset, self.resized_size
        return top, left, top + height, left + width

    def map_boxes(self, boxes: FloatArray) -> FloatArray:
        """Map boxes (M, 4) of the annotated image to canvas pixels, without clipping."""
        mapped = np.empty_like(boxes)
        for axis, edges in ((0, [1, 3]), (1, [0, 2])):
            start = self.offset[axis] - self.crop_corner[axis] * self.resized_size[axis] / self.crop_size[axis]
            mapped[:, edges] = boxes[:, edges] * self.scale[axis] + start
            if self.mirrored[axis]:
                mapped[:, edges] = 2 * self.offset[axis] + self.resized_size[axis] - mapped[:, edges[::-1]]
        return mapped

    def map_target(self, target: Target, min_visible: float = MIN_VISIBLE) -> Target:
        """Map the boxes of the annotated image and clip them to the part of the canvas that shows the image.

        A box is dropped if nothing of it is visible, or less than the fraction `min_visible` of its area.
        """
        top, left, bottom, right = self.extent
        boxes, visible, area = _clipped(self.map_boxes(target.boxes), (left, top, right, bottom))
        keep = (visible > 0) & (visible >= min_visible * area)
        return Target(boxes, target.labels, target.crowd, target.area, target.rows).take(keep)


def place(
    source: Size,
    shrunk: Size,
    canvas: Size,
    scale: Scale,
    random: Random | None = None,
    window: tuple[Size, Size] | None = None,
) -> Placement:
    """Put a shrunk image on its canvas at `scale`, at a random position if `random` is given, else at the top left.

    An image larger than the canvas is cropped; a smaller one is padded.

    Args:
        window: (corner, size) of the part of the shrunk image to use; None uses all of it.
    """
    (top, left), (height, width) = window or ((0, 0), shrunk)
    crop_height, resized_height = _fit(height, canvas[0], scale[0])
    crop_width, resized_width = _fit(width, canvas[1], scale[1])
    corner = top + _start(height - crop_height, random), left + _start(width - crop_width, random)
    offset = _start(canvas[0] - resized_height, random), _start(canvas[1] - resized_width, random)
    crop, resized = (crop_height, crop_width), (resized_height, resized_width)
    return Placement(source, shrunk, corner, crop, resized, offset, canvas)


def visible_share(boxes: FloatArray, window: tuple[int, int, int, int]) -> tuple[FloatArray, FloatArray]:
    """Return the (M,) fractions of the area of `boxes` (M, 4) inside `window` (xyxy), and the (M,) IoUs with it."""
    _, shared, area = _clipped(boxes, window)
    union = area + (window[2] - window[0]) * (window[3] - window[1]) - shared
    return np.divide(shared, area, out=np.zeros_like(shared), where=area > 0), shared / union


def _fit(length: int, available: int, scale: float) -> tuple[int, int]:
    """Return how many of `length` pixels fit into `available` pixels at `scale`, and how many pixels they become.

    A cropped side fills the available pixels exactly, so that rounding leaves no gap.
    """
    if length * scale <= available + 0.5:
        return length, min(available, max(1, round(length * scale)))
    return min(length, max(1, round(available / scale))), available


def _start(slack: int, random: Random | None) -> int:
    return 0 if random is None else int(random.random() * (slack + 1))


def _clipped(boxes: FloatArray, window: tuple[int, int, int, int]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return boxes (M, 4) clipped to `window` (xyxy), and the (M,) areas of their visible and of their whole boxes."""
    left, top, right, bottom = window
    inside: FloatArray = np.minimum(np.maximum(boxes, (left, top, left, top)), (right, bottom, right, bottom))
    whole: FloatArray = np.where(np.abs(boxes - inside) < ROUNDING, inside, boxes)
    return inside, _area(inside), _area(whole)


def _area(boxes: FloatArray) -> FloatArray:
    area: FloatArray = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return area
