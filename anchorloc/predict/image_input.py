"""Read a path, the bytes of a file, a PIL image or an array as RGB pixels, and find the image files of folders."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anchorloc.data.formats.image_finder import walk_images
from anchorloc.data.image_formats import foreign_format
from anchorloc.data.image_settings import DEFAULT_SETTINGS, ImageSettings
from anchorloc.data.images import read_image, to_pixels
from anchorloc.errors import InputError, ItemError
from anchorloc.structures import Pixels, Size
from anchorloc.text import first_few

ImageLike = str | Path | bytes | Image.Image | NDArray[np.uint8]


def read_rgb(image: ImageLike, where: str = "", settings: ImageSettings = DEFAULT_SETTINGS) -> Pixels:
    """Return an image as (H, W, 3) RGB; the settings do not apply to an array.

    Raises:
        InputError: it cannot be read or has another type; `where` begins the message.
    """
    try:
        if isinstance(image, str | Path):
            return read_file(Path(image), settings=settings)
        if isinstance(image, bytes | Image.Image):
            where = where or "the image "
            return read_image(image, None, settings) if isinstance(image, bytes) else to_pixels(image, settings)
    except ItemError as error:
        raise InputError(f"{where}{error}") from None
    if not isinstance(image, np.ndarray):
        raise InputError(f"{where}need a path, bytes, a PIL image or an array, got {type(image).__name__}")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        advice = "; give a batch as list(images)" if image.ndim == 4 else ""
        raise InputError(f"{where}need a uint8 array of shape (H, W, 3), got {image.dtype} {image.shape}{advice}")
    return image


def read_file(path: Path, size: Size | None = None, settings: ImageSettings = DEFAULT_SETTINGS) -> Pixels:
    """Return the pixels of an image file, which must have the `size` if that is given.

    Raises:
        ItemError: it cannot be read; the message names the file.
    """
    try:
        if path.is_dir():
            raise ItemError("is a folder; give the image files in it")
        if not path.is_file():  # a pipe or a device would block or never end
            raise ItemError("is not a regular file" if path.exists() else "does not exist; check the path")
        return read_image(path, size, settings)
    except (OSError, ValueError) as error:
        raise ItemError(f"{str(path)!r} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    except ItemError as error:
        raise ItemError(f"{path} {error}") from None


def find_images(inputs: Iterable[Path]) -> list[tuple[Path, str]]:
    """Return each image file once, in order, with its name in the results: relative to its folder, or the file name.

    Folders are searched by `walk_images`: images in formats that are not read must not be left out silently.

    Raises:
        InputError: a path does not exist, or a folder cannot be read or holds no image that is read.
    """
    found: dict[Path, str] = {}
    for path in inputs:
        if path.is_dir():
            inside = sorted(walk_images(path))
            foreign = [file.name for file in inside if foreign_format(file)]
            if len(foreign) == len(inside):
                others = f", but {first_few(foreign, 3)}, which are not read" if foreign else ""
                advice = "convert them to JPEG or PNG" if foreign else "give another folder or image files"
                raise InputError(f"the folder {path} holds no image{others}; {advice}")
            for file in inside:
                found.setdefault(file, file.relative_to(path).as_posix())
        elif os.path.lexists(path):
            found.setdefault(path, path.name)
        else:
            raise InputError(f"{path} does not exist; give image files or folders")
    return list(found.items())
