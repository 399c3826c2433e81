"""Resize images and boxes for the network, and augment them in training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random

import numpy as np
from PIL import Image

from anchorloc.data.augment import Augment
from anchorloc.data.placement import Placement, place
from anchorloc.data.resize import (
    Keep,
    Letterbox,
    ShortestSide,
    TorchvisionShortestSide,
    TorchvisionStretch,
    interpolate,
    resized,
    scaled,
)
from anchorloc.errors import InputError
from anchorloc.structures import IMAGENET_MEAN, Color, Float32Array, FloatArray, Pixels, Scale, Size, Target

LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601

NetworkPixels = Pixels | Float32Array  # (H, W, 3) RGB from 0 to 255; float32 if the resize policy is exact


@dataclass(frozen=True)
class Transform:
    """Resize an image and its boxes; augment them if a random generator is given.

    An image is first shrunk to the largest scale that any zoom needs. That scale depends on its size alone, so the
    shrunk image can be cached across epochs. Then window, position and mirroring are drawn. Boxes are transformed in
    float64, with or without pixels. torchvision's box transforms clip as they crop, so they lose the visible fraction
    of a box; a test holds both equal. A mosaic needs more than one image: see `plan_canvas`.
    """

    resize: ShortestSide | Letterbox | Keep | TorchvisionShortestSide | TorchvisionStretch = field(default_factory=Keep)
    augment: Augment = field(default_factory=Augment)
    multiple: int = 0  # pad height and width of a batch to multiples of this, in pixels; 0: the coarsest stride

    def __post_init__(self) -> None:
        if not 0 <= self.multiple <= 4096:
            raise InputError(f"multiple must be from 0 to 4096, got {self.multiple}")

    def __call__(
        self, image: Pixels, target: Target, random: Random | None = None, fill: Color = IMAGENET_MEAN
    ) -> tuple[NetworkPixels, Target, Placement]:
        """Transform an image and its boxes: augmented by `random`, or as in evaluation without it.

        Returns the image, the boxes in its pixels, and where the original is in it.
        """
        height, width, _ = image.shape
        boxes, placement = self.boxes((height, width), target, random)
        shrunk = self.shrink(image, random is not None)
        return self.render([(shrunk, placement)], random, fill), boxes, placement

    def boxes(self, size: Size, target: Target, random: Random | None = None) -> tuple[Target, Placement]:
        """Transform the boxes of an image of `size` without its pixels, exactly as with them.

        Returns the boxes in canvas pixels, and the placement of the image.
        """
        placement = self.draw_placement(size, random, target.boxes[~target.crowd])
        return placement.map_target(target, self.augment.min_visible), placement

    def render(
        self, parts: Sequence[tuple[Pixels, Placement]], random: Random | None, fill: Color = IMAGENET_MEAN
    ) -> NetworkPixels:
        """Put shrunk images on their common canvas; `random` must be the generator that drew the placements."""
        shrunk, placement = parts[0]
        if self.resize.exact and random is None:
            return interpolate(shrunk, placement.canvas)
        drawn = []
        for shrunk, placement in parts:
            image = _crop_and_resize(shrunk, placement, self.resize.exact)
            if random is not None and self.augment.photometric:
                image = _recolor(image, self.augment.photometric, random)
            drawn.append((image, placement))
        return _on_canvas(drawn, fill)

    def shrink(self, image: Pixels, training: bool) -> Pixels:
        """Scale an image to its shrunk size."""
        height, width, _ = image.shape
        size = self.shrunk_size((height, width), training)
        return image if size == (height, width) else _scale(image, size, self.resize.exact)

    def shrunk_size(self, size: Size, training: bool) -> Size:
        """Return the size of an image at the largest scale that any zoom needs; never above its own size."""
        if self.resize.exact and not training:  # `interpolate` scales the pixels once, without rounding
            return size
        zoom = self.augment.most_zoom if training else 1
        vertical, horizontal = self.resize(size)[1]
        vertical, horizontal = vertical * zoom, horizontal * zoom
        return scaled(size, (vertical, horizontal)) if max(vertical, horizontal) < 1 else size

    def draw_placement(self, size: Size, random: Random | None = None, boxes: FloatArray | None = None) -> Placement:
        """Draw where the pixels of an image of `size` go; an IoU crop depends on its `boxes` (M, 4)."""
        canvas, scale = self.resize(size)
        shrunk = self.shrunk_size(size, random is not None)
        if random is None:
            return place(size, shrunk, canvas, (1, 1) if shrunk != size else scale)
        window, canvas, larger = self._draw_window(size, shrunk, boxes, random)
        factor = self.augment.draw_size(random)
        zoom = factor * self.augment.draw_zoom(random)
        low, high = self.augment.scale_jitter
        moves = low < high or window is not None or self.augment.zoom_out is not None
        relative = self._relative(size, (larger[0] * zoom, larger[1] * zoom))
        placement = place(size, shrunk, resized(canvas, factor), relative, random if moves else None, window)
        return self._mirrored(placement, random)

    def draw_mosaic_placement(
        self, size: Size, quarter: tuple[Size, Size], canvas: Size, zoom: float, random: Random
    ) -> Placement:
        """Draw where the pixels of an image of `size` go in one `quarter` (corner, size) of a mosaic."""
        shrunk, (corner, available) = self.shrunk_size(size, training=True), quarter
        placement = place(size, shrunk, available, self._relative(size, (zoom, zoom)), random)
        offset = placement.offset[0] + corner[0], placement.offset[1] + corner[1]
        return self._mirrored(replace(placement, offset=offset, canvas=canvas), random)

    def _draw_window(
        self, size: Size, shrunk: Size, boxes: FloatArray | None, random: Random
    ) -> tuple[tuple[Size, Size] | None, Size, Scale]:
        """Draw the window of an IoU crop in the shrunk image.

        Returns the window, or None for the whole image; its canvas; its magnification relative to the whole image.
        """
        canvas, scale = self.resize(size)
        if self.augment.iou_crop is None or boxes is None:
            return None, canvas, (1.0, 1.0)
        factors = np.tile([shrunk[1] / size[1], shrunk[0] / size[0]], 2)
        window = self.augment.iou_crop.draw(boxes * factors, shrunk, self.augment.min_visible, random)
        if window is None:
            return None, canvas, (1.0, 1.0)
        height, width = (max(1, round(window[1][axis] * size[axis] / shrunk[axis])) for axis in (0, 1))
        canvas, (vertical, horizontal) = self.resize((height, width))
        return window, canvas, (vertical / scale[0], horizontal / scale[1])

    def _relative(self, size: Size, zoom: Scale) -> Scale:
        """Return the scale that makes a shrunk image `zoom` times as large as without augmentation."""
        if self.shrunk_size(size, training=True) != size:
            return zoom[0] / self.augment.most_zoom, zoom[1] / self.augment.most_zoom
        vertical, horizontal = self.resize(size)[1]
        return vertical * zoom[0], horizontal * zoom[1]

    def _mirrored(self, placement: Placement, random: Random) -> Placement:
        upside_down = random.random() < self.augment.vertical_flip
        return replace(placement, mirrored=(upside_down, random.random() < self.augment.horizontal_flip))


def randomness(seed: int, epoch: int, index: int) -> Random:
    """Return the random generator of an image in an epoch."""
    return Random(f"{seed}/{epoch}/{index}")


def _scale(image: Pixels, size: Size, exact: bool) -> Pixels:
    """Scale to (height, width): bilinear, and antialiased unless `exact`."""
    if exact:
        return (interpolate(image, size) + 0.5).astype(np.uint8)
    height, width = size
    return np.array(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))


def _crop_and_resize(shrunk: Pixels, placement: Placement, exact: bool) -> Pixels:
    """Crop a shrunk image, resize it and mirror it."""
    (top, left), (height, width) = placement.crop_corner, placement.crop_size
    image = shrunk[top : top + height, left : left + width]
    if placement.resized_size != placement.crop_size:
        image = _scale(np.ascontiguousarray(image), placement.resized_size, exact)
    upside_down, flipped = placement.mirrored
    return image[:: -1 if upside_down else 1, :: -1 if flipped else 1]


def _on_canvas(parts: Sequence[tuple[Pixels, Placement]], fill: Color) -> Pixels:
    first, placement = parts[0]
    if placement.resized_size == placement.canvas:
        return np.ascontiguousarray(first)
    rows, columns = placement.canvas
    color = np.array(fill).round().astype(np.uint8)
    image = np.empty((rows, columns, 3), np.uint8)
    image.reshape(rows, columns * 3)[:] = np.tile(color, columns)  # 40 times faster than pixel by pixel
    for part, placement in parts:
        (top, left), (height, width) = placement.offset, placement.resized_size
        image[top : top + height, left : left + width] = part
    return image


def _recolor(image: Pixels, strength: float, random: Random) -> Pixels:
    """Change saturation, contrast (about mid gray) and brightness by random factors from 1 - strength to 1 + strength.

    All three are affine in (R, G, B), so one matrix applies them in one pass. Pillow's conversion is serial; a matrix
    product could depend on the number of threads.
    """
    saturation, contrast, brightness = (1 + strength * (2 * random.random() - 1) for _ in range(3))
    # (3, 3), one row per output channel
    mix = brightness * contrast * (saturation * np.eye(3) + (1 - saturation) * LUMA)
    shift = brightness * (1 - contrast) * 127.5 + 0.5  # Pillow rounds down
    matrix = np.column_stack([mix, [shift] * 3]).ravel().tolist()
    return np.array(Image.fromarray(np.ascontiguousarray(image)).convert("RGB", tuple(matrix)))
