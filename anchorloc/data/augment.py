"""What happens to images at random in training, and the draws behind it."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from anchorloc.data.placement import MIN_VISIBLE, visible_share
from anchorloc.data.resize import Size
from anchorloc.errors import InputError
from anchorloc.structures import FloatArray

TRIALS = 40  # windows drawn for one IoU crop before the image is left whole


@dataclass(frozen=True)
class IoUCrop:
    """Train on a window of the image that overlaps some box by a drawn IoU (SSD, arXiv:1512.02325, section 2.2).

    The window is then resized as if it were the image, so that objects come larger. Unlike SSD's, it need not hold the
    center of that box, but as much of it as `min_visible` asks for. An image without boxes stays whole, and so does
    one where no window is found.
    """

    probability: float = 0.85
    min_iou: tuple[float, ...] = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)  # with a box, one drawn for each image
    min_scale: float = 0.3  # side of a window as a share of the image's, uniform from here to 1
    max_aspect_ratio: float = 2.0  # of the longer to the shorter side of a window in pixels

    def __post_init__(self) -> None:
        _check_share(self, "probability")
        if not self.min_iou or not all(0 <= iou < 1 for iou in self.min_iou):
            raise InputError(f"min_iou needs one or more numbers from 0 to below 1, got {list(self.min_iou)}")
        if not 0.05 <= self.min_scale <= 1 or self.max_aspect_ratio < 1:
            raise InputError(
                "need 0.05 <= min_scale <= 1 and max_aspect_ratio >= 1, "
                f"got {self.min_scale} and {self.max_aspect_ratio}"
            )

    def draw(self, boxes: FloatArray, size: Size, min_visible: float, random: Random) -> tuple[Size, Size] | None:
        """Return (corner, size) of a window in whole pixels of an image of `size`, or None to leave it whole.

        Args:
            boxes: (M, 4) in the pixels of the image.
        """
        if random.random() >= self.probability or not len(boxes):
            return None
        least = self.min_iou[int(random.random() * len(self.min_iou))]
        for _ in range(TRIALS):
            shares = [self.min_scale + (1 - self.min_scale) * random.random() for _ in range(2)]
            height, width = (max(1, round(side * share)) for side, share in zip(size, shares, strict=True))
            top, left = int(random.random() * (size[0] - height + 1)), int(random.random() * (size[1] - width + 1))
            if max(height, width) > self.max_aspect_ratio * min(height, width):
                continue
            visible, iou = visible_share(boxes, (left, top, left + width, top + height))
            if ((visible > 0) & (visible >= min_visible) & (iou >= least)).any():
                return (top, left), (height, width)
        return None


@dataclass(frozen=True)
class ZoomOut:
    """Shrink the image on a canvas that stays as large, so that objects come smaller (SSD, as above)."""

    probability: float = 0.5
    max_scale: float = 4.0  # factor, uniform from 1 to this

    def __post_init__(self) -> None:
        _check_share(self, "probability")
        if not 1 <= self.max_scale <= 20:
            raise InputError(f"max_scale must be from 1 to 20, got {self.max_scale}")

    def draw(self, random: Random) -> float:
        """Return the zoom, at most 1."""
        if random.random() >= self.probability:
            return 1.0
        return 1 / (1 + (self.max_scale - 1) * random.random())


@dataclass(frozen=True)
class Mosaic:
    """Fill the quarters around a drawn point with the image and three others (YOLOv4, arXiv:2004.10934).

    Each is zoomed, and cropped or put at random in its quarter; IoU crop, zoom-out and scale jitter leave it alone.
    """

    probability: float = 0.5
    zoom: tuple[float, float] = (0.5, 1.0)  # of each image, log-uniform; 1 is its size when alone
    center: float = 0.25  # the point is at least this share of the canvas away from its borders

    def __post_init__(self) -> None:
        _check_share(self, "probability")
        low, high = self.zoom
        if not 0.05 <= low <= high <= 20:
            raise InputError(f"zoom needs 0.05 <= smallest <= largest <= 20, got {low} and {high}")
        if not 0 <= self.center <= 0.5:
            raise InputError(f"center must be from 0 to 0.5, got {self.center}")

    def draw_quarters(self, canvas: Size, random: Random) -> list[tuple[Size, Size]]:
        """Return (corner, size) of the four quarters of a canvas of at least 2 pixels a side."""
        cuts = [
            min(max(round(side * (self.center + (1 - 2 * self.center) * random.random())), 1), side - 1)
            for side in canvas
        ]
        (down, right), (height, width) = cuts, canvas
        rows, columns = ((0, down), (down, height - down)), ((0, right), (right, width - right))
        return [((top, left), (tall, wide)) for top, tall in rows for left, wide in columns]


@dataclass(frozen=True)
class Augment:
    """What happens to an image at random, in training only."""

    horizontal_flip: float = 0.5  # probability
    vertical_flip: float = 0.0  # probability
    scale_jitter: tuple[float, float] = (1.0, 1.0)  # zoom, log-uniform; above 1 crops, below 1 leaves room to fill
    photometric: float = 0.0  # brightness, contrast and saturation each change by a factor of at most 1 +- this
    multi_scale: tuple[float, ...] = (1.0,)  # factors of the image size for the network, one drawn for each image
    iou_crop: IoUCrop | None = None  # {} takes its defaults
    zoom_out: ZoomOut | None = None  # {} takes its defaults
    mosaic: Mosaic | None = None  # {} takes its defaults
    min_visible: float = MIN_VISIBLE  # share of a box's area that must stay visible, else its label is dropped

    def __post_init__(self) -> None:
        for name in ("horizontal_flip", "vertical_flip", "photometric", "min_visible"):
            _check_share(self, name)
        low, high = self.scale_jitter
        if not 0.05 <= low <= high <= 20:
            raise InputError(f"scale_jitter needs 0.05 <= smallest <= largest <= 20, got {low} and {high}")
        if not self.multi_scale or not all(0.05 <= factor <= 20 for factor in self.multi_scale):
            raise InputError(f"multi_scale needs one or more factors from 0.05 to 20, got {list(self.multi_scale)}")

    @property
    def most_zoom(self) -> float:
        """The greatest scale, in those of the resized image, at which any part of an image may be shown."""
        zooms = [self.scale_jitter[1], self.mosaic.zoom[1] if self.mosaic else 0.0]
        crop = 1 / self.iou_crop.min_scale if self.iou_crop else 1.0
        return max(zooms) * max(self.multi_scale) * crop

    @property
    def moves_boxes(self) -> bool:
        """Whether two epochs may show the boxes of an image at different places."""
        still = Augment(0.0, 0.0, photometric=self.photometric, min_visible=self.min_visible)
        return self != still

    def draw_size(self, random: Random) -> float:
        """Return the factor of the canvas."""
        factors = self.multi_scale
        return factors[int(random.random() * len(factors))] if len(factors) > 1 else factors[0]

    def draw_zoom(self, random: Random) -> float:
        """Return how much larger the image is than it would be without augmentation."""
        zoom = log_uniform(self.scale_jitter, random)
        return zoom * self.zoom_out.draw(random) if self.zoom_out else zoom


def log_uniform(ends: tuple[float, float], random: Random) -> float:
    """Draw between two ends so that equal ratios are equally likely."""
    low, high = ends
    return float(low * (high / low) ** random.random())


def _check_share(settings: object, name: str) -> None:
    if not 0 <= getattr(settings, name) <= 1:
        raise InputError(f"{name} must be from 0 to 1, got {getattr(settings, name)}")
