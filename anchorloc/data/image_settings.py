"""The settings that decide how an image file becomes RGB pixels."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final, Literal

MAX_PIXELS: Final = 89_478_485  # per image; about 256 MB when decoded


@dataclass(frozen=True, kw_only=True)
class ImageSettings:
    """How image files are read, in training and in use. Every kind of data set has these settings."""

    max_pixels: int = MAX_PIXELS  # maximum pixels per image; larger images are refused
    orientation: Literal["auto", "apply", "ignore"] = "auto"  # apply the EXIF orientation, as viewers do, or ignore it;
    # auto applies it unless the declared size is the stored one and not the turned one
    window: tuple[float, float] | None = None  # values that become black and white, for images with more than 8 bits
    # (default: 0 and the greatest value of the bit depth)
    bands: tuple[int, ...] | None = None  # bands to read as red, green and blue, counted from 1, or one band to read as
    # gray; alpha is ignored then (default: the first three, and alpha on white)

    def __post_init__(self) -> None:
        if self.max_pixels < 1:
            raise ValueError(f"max_pixels must be at least 1, got {self.max_pixels}")
        if self.window is not None and not self.window[0] < self.window[1]:
            raise ValueError(f"window needs a lower and a higher value, got {list(self.window)}")
        if self.bands is not None and (len(self.bands) not in (1, 3) or min(self.bands) < 1):
            raise ValueError(f"bands needs one or three numbers from 1, got {list(self.bands)}")

    @property
    def image_settings(self) -> ImageSettings:
        """These settings without the others of a data set."""
        return ImageSettings(**{field.name: getattr(self, field.name) for field in fields(ImageSettings)})


DEFAULT_SETTINGS: Final = ImageSettings()
KEYS: Final = tuple(f"data.{field.name}" for field in fields(ImageSettings))
