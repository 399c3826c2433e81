"""JPEG files whose last bytes are missing, as after an interrupted copy."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from anchorloc.data.image_formats import ImageFile, file_bytes

END: Final = b"\xff\xd9"  # the marker at the end of a JPEG
TAIL: Final = 4096  # bytes that are searched for it; other data may follow
MOST_MISSING: Final = 0.05  # fraction of the rows; an image that lacks more is refused


def may_lack_end(path: Path) -> bool:
    """Return whether the last bytes of a JPEG lack the marker of its end; decoding it decides."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - TAIL))
        return END not in file.read()


def loaded(image: Image.Image, file: ImageFile | None) -> Image.Image:
    """Decode an image that was opened from `file`, and return it.

    For a JPEG that lacks its end, another image is returned, which is decoded as far as it goes.

    Raises:
        OSError: it cannot be decoded, or over 5% of its rows are missing.
    """
    try:
        image.load()
    except OSError:
        if file is None or image.format != "JPEG":
            raise
        completed = Image.open(BytesIO(file_bytes(file) + END), formats=("JPEG",))
        completed.load()
        if _empty_rows(completed) > MOST_MISSING * completed.height:
            raise
        return completed
    return image


def _empty_rows(image: Image.Image) -> int:
    """Count the rows of one color at the end of an image: the decoder fills missing rows so."""
    pixels = np.asarray(image)
    differs = (pixels != pixels[-1, 0]).reshape(image.height, -1).any(axis=1)
    return image.height - 1 - int(np.flatnonzero(differs).max(initial=-1))
