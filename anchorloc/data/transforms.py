"""Images and boxes to the size of the network, augmented in training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torchvision.transforms.v2 import functional

from anchorloc.data.augment import Augment
from anchorloc.data.placement import Geometry, place
from anchorloc.data.resize import (
    Keep,
    Letterbox,
    Scale,
    ShortestSide,
    Size,
    TorchvisionShortestSide,
    TorchvisionStretch,
    resized,
    scaled,
)
from anchorloc.errors import InputError
from anchorloc.structures import FloatArray, Target

FILL = (124, 116, 104)  # ImageNet's mean color, which normalization turns into about 0, as the padding of a batch is
LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601

Pixels = NDArray[np.uint8]
NetworkPixels = Pixels | NDArray[np.float32]  # float32 where a resize is exact, from 0 to 255 too


@dataclass(frozen=True)
class Transform:
    """Resize, and augment where a source of randomness is given.

    An image is first shrunk to the largest scale that any zoom asks for, which depends on its size alone, so that the
    outcome can be kept from epoch to epoch; then window, place and mirroring are drawn. Boxes take the same way in
    float64, with or without pixels: not by torchvision's box transforms, which clip as they crop, so that the visible
    share of a box is lost. A test holds the two equal. A mosaic needs more than one image: see `compose`.
    """

    resize: ShortestSide | Letterbox | Keep | TorchvisionShortestSide | TorchvisionStretch = field(default_factory=Keep)
    augment: Augment = field(default_factory=Augment)
    multiple: int = 0  # the sides of a padded batch are multiples of this; 0 takes the coarsest stride

    def __post_init__(self) -> None:
        if not 0 <= self.multiple <= 4096:
            raise InputError(f"multiple must be from 0 to 4096, got {self.multiple}")

    def __call__(
        self, image: Pixels, target: Target, random: Random | None = None
    ) -> tuple[NetworkPixels, Target, Scale]:
        """Transform an (H, W, 3) image and its boxes, as in evaluation if there is no `random`.

        Returns the image, the boxes in its pixels, and the (vertical, horizontal) scale.
        """
        height, width, _ = image.shape
        boxes, geometry = self.boxes((height, width), target, random)
        return self.render([(self.shrink(image, random is not None), geometry)], random), boxes, geometry.scale

    def boxes(self, size: Size, target: Target, random: Random | None = None) -> tuple[Target, Geometry]:
        """Transform the boxes alone of an image of `size`, exactly as with pixels.

        Returns them and where the image went; they lie in a picture of the size `canvas`.
        """
        geometry = self.geometry(size, random, target.boxes[~target.crowd])
        return geometry.map_target(target, self.augment.min_visible), geometry

    def render(self, parts: Sequence[tuple[Pixels, Geometry]], random: Random | None) -> NetworkPixels:
        """Put shrunk images on their common canvas; `random` goes on where drawing the geometries has left it."""
        shrunk, geometry = parts[0]
        if self.resize.exact and random is None:
            return _exact(shrunk, geometry.canvas)
        drawn = []
        for shrunk, geometry in parts:
            image = _part(shrunk, geometry, not self.resize.exact)
            if random is not None and self.augment.photometric:
                image = _recolor(image, self.augment.photometric, random)
            drawn.append((image, geometry))
        return _on_canvas(drawn)

    def shrink(self, image: Pixels, training: bool) -> Pixels:
        """Scale an (H, W, 3) image to its shrunk size."""
        height, width, _ = image.shape
        size = self.shrunk_size((height, width), training)
        return image if size == (height, width) else _array(_scale(_tensor(image), size, not self.resize.exact))

    def shrunk_size(self, size: Size, training: bool) -> Size:
        """Return the size of an image at the largest scale in use, if that is below its own."""
        if self.resize.exact and not training:  # its pixels are scaled once, from bytes to numbers
            return size
        zoom = self.augment.most_zoom if training else 1
        vertical, horizontal = self.resize(size)[1]
        vertical, horizontal = vertical * zoom, horizontal * zoom
        return scaled(size, (vertical, horizontal)) if max(vertical, horizontal) < 1 else size

    def geometry(self, size: Size, random: Random | None = None, boxes: FloatArray | None = None) -> Geometry:
        """Draw where the pixels of an image of `size` go; an IoU crop is drawn for its `boxes` (M, 4)."""
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
        geometry = place(size, shrunk, resized(canvas, factor), relative, random if moves else None, window)
        return self._mirrored(geometry, random)

    def quarter(self, size: Size, corner: Size, room: Size, canvas: Size, zoom: float, random: Random) -> Geometry:
        """Draw where the pixels of an image of `size` go in a mosaic: to the `room` at `corner` of its canvas."""
        shrunk = self.shrunk_size(size, training=True)
        part = place(size, shrunk, room, self._relative(size, (zoom, zoom)), random)
        offset = part.offset[0] + corner[0], part.offset[1] + corner[1]
        return self._mirrored(replace(part, offset=offset, canvas=canvas), random)

    def _draw_window(
        self, size: Size, shrunk: Size, boxes: FloatArray | None, random: Random
    ) -> tuple[tuple[Size, Size] | None, Size, Scale]:
        """Draw the window of an IoU crop in the shrunk image.

        Returns it, or None for all of the image; the canvas for it; how much larger it comes out than in the whole.
        """
        canvas, scale = self.resize(size)
        if self.augment.iou_crop is None or boxes is None:
            return None, canvas, (1.0, 1.0)
        factors = np.tile([shrunk[1] / size[1], shrunk[0] / size[0]], 2)
        window = self.augment.iou_crop.draw(boxes * factors, shrunk, self.augment.min_visible, random)
        if window is None:
            return None, canvas, (1.0, 1.0)
        height, width = (max(1, round(window[1][axis] * size[axis] / shrunk[axis])) for axis in (0, 1))
        canvas, (down, across) = self.resize((height, width))
        return window, canvas, (down / scale[0], across / scale[1])

    def _relative(self, size: Size, zoom: Scale) -> Scale:
        """Return the scale from the shrunk image to one `zoom` times as large as without augmentation."""
        if self.shrunk_size(size, training=True) != size:
            return zoom[0] / self.augment.most_zoom, zoom[1] / self.augment.most_zoom
        vertical, horizontal = self.resize(size)[1]
        return vertical * zoom[0], horizontal * zoom[1]

    def _mirrored(self, geometry: Geometry, random: Random) -> Geometry:
        upside_down = random.random() < self.augment.vertical_flip
        return replace(geometry, mirrored=(upside_down, random.random() < self.augment.horizontal_flip))


def randomness(seed: int, epoch: int, index: int) -> Random:
    """Return what augmentation of an image in an epoch draws from: it depends on nothing else."""
    return Random(f"{seed}/{epoch}/{index}")


def _tensor(image: Pixels) -> torch.Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)  # (3, H, W), channels last in memory


def _array(image: torch.Tensor) -> Pixels:
    return np.ascontiguousarray(image.permute(1, 2, 0).numpy())  # (H, W, 3)


def _scale(image: torch.Tensor, size: Size, antialias: bool) -> torch.Tensor:
    scaled: torch.Tensor = functional.resize(image, list(size), antialias=antialias)
    return scaled


def _exact(image: Pixels, size: Size) -> NDArray[np.float32]:
    """Scale to float32 pixels, a convolution's input, with no rounding on the way."""
    scaled = torch.nn.functional.interpolate(_tensor(image)[None].float(), size=size, mode="bilinear")[0]
    pixels: NDArray[np.float32] = np.ascontiguousarray(scaled.permute(1, 2, 0).numpy())
    return pixels


def _part(shrunk: Pixels, geometry: Geometry, antialias: bool) -> Pixels:
    """Cut the window out of an (H, W, 3) image, scale it and mirror it."""
    (top, left), (height, width) = geometry.corner, geometry.window
    window = np.ascontiguousarray(shrunk[top : top + height, left : left + width])  # strided, it scales at half speed
    part = _tensor(window)
    if geometry.part != geometry.window:
        part = _scale(part, geometry.part, antialias)
    if geometry.mirrored[0]:
        part = functional.vertical_flip(part)
    if geometry.mirrored[1]:
        part = functional.horizontal_flip(part)
    return _array(part)


def _on_canvas(parts: Sequence[tuple[Pixels, Geometry]]) -> Pixels:
    first, geometry = parts[0]
    if geometry.part == geometry.canvas:
        return first
    rows, columns = geometry.canvas
    image = np.empty((rows, columns, 3), np.uint8)
    image.reshape(rows, columns * 3)[:] = np.tile(
        np.array(FILL, np.uint8), columns
    )  # pixel by pixel is 40 times slower
    for part, geometry in parts:
        (top, left), (height, width) = geometry.offset, geometry.part
        image[top : top + height, left : left + width] = part
    return image


def _recolor(image: Pixels, strength: float, random: Random) -> Pixels:
    """Change saturation, contrast (about mid gray) and brightness by factors from 1 - strength to 1 + strength.

    All three are affine in (R, G, B), so one matrix does them in one pass: Pillow's, which is serial, so that the
    outcome does not depend on the number of threads as that of a matrix product may.
    """
    saturation, contrast, brightness = (1 + strength * (2 * random.random() - 1) for _ in range(3))
    mix = brightness * contrast * (saturation * np.eye(3) + (1 - saturation) * LUMA)  # (3, 3), rows are outputs
    shift = brightness * (1 - contrast) * 127.5 + 0.5  # Pillow rounds down
    matrix = np.column_stack([mix, [shift] * 3]).ravel().tolist()
    return np.array(Image.fromarray(image).convert("RGB", tuple(matrix)))
