"""Random augmentation: its settings, and the random numbers behind it."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from anchorloc.data.own_data import AugmentationProtocol
from anchorloc.data.placement import MIN_VISIBLE, visible_share
from anchorloc.errors import InputError
from anchorloc.structures import FloatArray, Size

TRIALS = 40  # windows drawn for one IoU crop before it gives up and keeps the whole image


@dataclass(frozen=True)
class IoUCrop:
    """Crop to a random window that has at least a drawn IoU with some box (SSD, arXiv:1512.02325, section 2.2).

    The window is resized as if it were the image, so objects become larger. SSD requires the center of that box to lie
    in the window; here `min_visible` decides instead. An image without boxes, or without a window, stays whole.
    """

    probability: float = 0.85  # probability that an image is cropped
    min_iou: tuple[float, ...] = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)  # minimum IoU of window and box, drawn per image
    min_scale: float = 0.3  # minimum height and width of the window, as a fraction of the image's
    max_aspect_ratio: float = 2.0  # largest ratio of the window's longer side to its shorter one

    def __post_init__(self) -> None:
        _check_fraction(self, "probability")
        if not len(self.min_iou) or not all(0 <= iou < 1 for iou in self.min_iou):
            raise InputError(f"min_iou needs one or more numbers from 0 to below 1, got {list(self.min_iou)}")
        if not 0.05 <= self.min_scale <= 1 or self.max_aspect_ratio < 1:
            raise InputError(
                "need 0.05 <= min_scale <= 1 and max_aspect_ratio >= 1, "
                f"got {self.min_scale} and {self.max_aspect_ratio}"
            )

    def draw(self, boxes: FloatArray, size: Size, min_visible: float, random: Random) -> tuple[Size, Size] | None:
        """Draw a window in an image of `size` with `boxes` (M, 4).

        Returns ((top, left), (height, width)) in whole pixels, or None to keep the whole image.
        """
        if random.random() >= self.probability or not len(boxes):
            return None
        min_iou = self.min_iou[int(random.random() * len(self.min_iou))]
        for _ in range(TRIALS):
            scales = [self.min_scale + (1 - self.min_scale) * random.random() for _ in range(2)]
            height, width = (max(1, round(side * scale)) for side, scale in zip(size, scales, strict=True))
            top, left = int(random.random() * (size[0] - height + 1)), int(random.random() * (size[1] - width + 1))
            if max(height, width) > self.max_aspect_ratio * min(height, width):
                continue
            visible, iou = visible_share(boxes, (left, top, left + width, top + height))
            if ((visible > 0) & (visible >= min_visible) & (iou >= min_iou)).any():
                return (top, left), (height, width)
        return None


@dataclass(frozen=True)
class ZoomOut:
    """Shrink the image on a canvas of the same size, so objects become smaller (SSD, arXiv:1512.02325, section 3.6)."""

    probability: float = 0.5  # probability that an image is shrunk
    max_scale: float = 4.0  # the image becomes up to this many times smaller

    def __post_init__(self) -> None:
        _check_fraction(self, "probability")
        if not 1 <= self.max_scale <= 20:
            raise InputError(f"max_scale must be from 1 to 20, got {self.max_scale}")

    def draw(self, random: Random) -> float:
        """Draw a zoom factor of at most 1."""
        if random.random() >= self.probability:
            return 1.0
        return 1 / (1 + (self.max_scale - 1) * random.random())


@dataclass(frozen=True)
class Mosaic:
    """Fill the quarters around a random point with the image and three others (YOLOv4, arXiv:2004.10934).

    Each image is zoomed, then cropped or placed at random in its quarter. IoU crop, zoom-out and scale jitter do not
    apply to a mosaic.
    """

    probability: float = 0.5  # probability that an image becomes part of a mosaic
    zoom: tuple[float, float] = (0.5, 1.0)  # range of each image's zoom, log-uniform; 1 is its size without a mosaic
    center: float = 0.25  # minimum distance of the common corner from the borders, as a fraction of the canvas

    def __post_init__(self) -> None:
        _check_fraction(self, "probability")
        low, high = self.zoom
        if not 0.05 <= low <= high <= 20:
            raise InputError(f"zoom needs 0.05 <= low <= high <= 20, got {low} and {high}")
        if not 0 <= self.center <= 0.5:
            raise InputError(f"center must be from 0 to 0.5, got {self.center}")

    def draw_quarters(self, canvas: Size, random: Random) -> list[tuple[Size, Size]]:
        """Draw ((top, left), (height, width)) of the four quarters of a canvas of at least 2 x 2 pixels."""
        cuts = [
            min(max(round(side * (self.center + (1 - 2 * self.center) * random.random())), 1), side - 1)
            for side in canvas
        ]
        rows, columns = (((0, cut), (cut, side - cut)) for cut, side in zip(cuts, canvas, strict=True))
        return [((top, left), (height, width)) for top, height in rows for left, width in columns]


@dataclass(frozen=True)
class Augment:
    """Random changes of the training images; evaluation applies none."""

    horizontal_flip: float = 0.5  # probability that an image is mirrored left to right
    vertical_flip: float = 0.0  # probability that an image is mirrored top to bottom
    scale_jitter: tuple[float, float] = (1.0, 1.0)  # range of a random zoom, log-uniform; above 1 crops, below 1 pads
    photometric: float = 0.0  # strength s of color jitter: brightness, contrast and saturation times 1 - s to 1 + s
    multi_scale: tuple[float, ...] = (1.0,)  # factors of the input size of the network; one is drawn per image
    iou_crop: IoUCrop | None = None  # random crop around a box; {} takes the default settings
    zoom_out: ZoomOut | None = None  # random shrinking of the image; {} takes the default settings
    mosaic: Mosaic | None = None  # four images in one; {} takes the default settings
    custom: AugmentationProtocol | None = None  # augmentation of your own, applied last; kind is package.module.Class
    min_visible: float = MIN_VISIBLE  # minimum visible fraction of a cropped box's area; below it the label is dropped

    def __post_init__(self) -> None:
        for name in ("horizontal_flip", "vertical_flip", "photometric", "min_visible"):
            _check_fraction(self, name)
        low, high = self.scale_jitter
        if not 0.05 <= low <= high <= 20:
            raise InputError(f"scale_jitter needs 0.05 <= low <= high <= 20, got {low} and {high}")
        if not len(self.multi_scale) or not all(0.05 <= factor <= 20 for factor in self.multi_scale):
            raise InputError(f"multi_scale needs one or more factors from 0.05 to 20, got {list(self.multi_scale)}")

    @property
    def most_zoom(self) -> float:
        """The largest zoom of any part of an image, relative to the resized image."""
        zooms = [self.scale_jitter[1], self.mosaic.zoom[1] if self.mosaic else 0.0]
        crop = 1 / self.iou_crop.min_scale if self.iou_crop else 1.0
        return max(zooms) * max(self.multi_scale) * crop

    @property
    def moves_boxes(self) -> bool:
        """Whether the boxes of an image may differ between two epochs."""
        unmoving = Augment(0.0, 0.0, photometric=self.photometric, min_visible=self.min_visible)
        return self != unmoving

    def draw_size(self, random: Random) -> float:
        """Draw the factor of the canvas size."""
        factors = self.multi_scale
        return factors[int(random.random() * len(factors))] if len(factors) > 1 else factors[0]

    def draw_zoom(self, random: Random) -> float:
        """Draw how much larger the image is than without augmentation."""
        zoom = log_uniform(self.scale_jitter, random)
        return zoom * self.zoom_out.draw(random) if self.zoom_out else zoom


def log_uniform(limits: tuple[float, float], random: Random) -> float:
    """Draw a number whose logarithm is uniform between two limits."""
    low, high = limits
    return float(low * (high / low) ** random.random())


def _check_fraction(settings: object, name: str) -> None:
    if not 0 <= getattr(settings, name) <= 1:
        raise InputError(f"{name} must be from 0 to 1, got {getattr(settings, name)}")
