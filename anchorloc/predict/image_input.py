"""Whatever a caller has for an image to RGB pixels, and the image files of folders."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anchorloc.data.images import SUFFIXES, read_image, to_pixels
from anchorloc.data.item_error import Flaw
from anchorloc.errors import InputError

ImageLike = str | Path | Image.Image | NDArray[np.uint8]
Pixels = NDArray[np.uint8]


def as_pixels(image: ImageLike, where: str = "") -> Pixels:
    """Return an image as (H, W, 3) RGB.

    Raises:
        InputError: it cannot be read or is of another kind; the sentence begins with `where`.
    """
    try:
        if isinstance(image, str | Path):
            return read_file(Path(image))
        if isinstance(image, Image.Image):
            where = where or "the image "
            return to_pixels(image)
    except Flaw as flaw:
        raise InputError(f"{where}{flaw}") from None
    if not isinstance(image, np.ndarray):
        raise InputError(f"{where}need a path, a PIL image or an array, got a {type(image).__name__}")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise InputError(f"{where}need a uint8 array of shape (H, W, 3), got {image.dtype} {image.shape}")
    return image


def read_file(path: Path, size: tuple[int, int] | None = None) -> Pixels:
    """Return the pixels of an image file; see `read_image` for `size`.

    Raises:
        Flaw: it cannot be read; the sentence names it.
    """
    try:
        if not path.is_file():  # a pipe or a device would block or never end
            raise Flaw("is not a regular file" if path.exists() else "does not exist; check the path")
        return read_image(path, size)
    except (OSError, ValueError) as error:
        raise Flaw(f"{str(path)!r} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    except Flaw as flaw:
        raise Flaw(f"{path} {flaw}") from None


def find_images(inputs: Iterable[Path]) -> list[tuple[Path, str]]:
    """Return the files given and those of folders, in order and each once, with the name that results carry.

    In a folder, at any depth, what ends like an image counts but for hidden names; links to folders are not followed.
    The name is relative to the folder, or that of the file alone.

    Raises:
        InputError: a path does not exist, or a folder holds no image.
    """
    found: dict[Path, str] = {}
    for path in inputs:
        if path.is_dir():
            inside = sorted(_inside(path))
            if not inside:
                raise InputError(f"the folder {path} holds no image; give another, or name files")
            for file in inside:
                found.setdefault(file, file.relative_to(path).as_posix())
        elif os.path.lexists(path):
            found.setdefault(path, path.name)
        else:
            raise InputError(f"{path} does not exist; give image files or folders")
    return list(found.items())


def _inside(folder: Path) -> Iterable[Path]:
    suffixes = tuple(suffix for group in SUFFIXES.values() for suffix in group)

    def refuse(error: OSError) -> None:  # os.walk would leave the folder out
        raise InputError(f"{error.filename} cannot be read: {error.strerror}; give another folder")

    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if name.lower().endswith(suffixes) and not name.startswith("."):
                yield Path(parent, name)
