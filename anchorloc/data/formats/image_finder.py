"""Find the image files of a folder, their sizes, and the file that a label file names."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Final

from anchorloc.data.formats.labels import Notes
from anchorloc.data.formats.nearest_names import NearestNames, loosely, with_slashes
from anchorloc.data.formats.reading_progress import tracked
from anchorloc.data.image_formats import KNOWN_SUFFIXES, foreign_format
from anchorloc.data.images import read_header
from anchorloc.errors import InputError, ItemError
from anchorloc.structures import Size
from anchorloc.text import printable, short_repr

NOT_READ: Final = "files of a format that is not read: {}; convert them to JPEG or PNG"
THREADS: Final = 8  # on a slow disk, reading a header is mostly waiting
TRIED: Final = 32  # files whose headers are timed first
SLOW: Final = 0.001  # seconds a header; threads read faster ones more slowly than one loop does


def find_image_files(folder: Path, notes: Notes | None = None) -> list[Path]:
    """Return the image files below a folder, sorted by name; hidden ones are left out.

    Raises:
        InputError: the folder cannot be read.
    """
    found = []
    for path in walk_images(folder):
        if not foreign_format(path):
            found.append(path)
        elif notes is not None:
            notes.add(NOT_READ, path.name)
    return found


def walk_images(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder that are images by their suffix, also in formats that are not read.

    Hidden files and folders are left out, and links to folders are not followed.

    Raises:
        InputError: a folder cannot be read.
    """

    def refuse(error: OSError) -> None:  # os.walk would skip the folder silently
        raise InputError(f"{error.filename} cannot be read: {error.strerror}; check its permissions")

    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for path in (Path(parent, name) for name in sorted(files) if not name.startswith(".")):
            if path.suffix.lower() in KNOWN_SUFFIXES or foreign_format(path):
                yield path


def image_names(folder: Path) -> list[str]:
    """Return the names, relative to the folder, of the files that `find_image_files` returns."""
    return [path.relative_to(folder).as_posix() for path in find_image_files(folder)]


def shown_sizes(paths: Sequence[Path]) -> list[Size]:
    """Return the (height, width) of image files as viewers show them, turned by their EXIF orientation.

    Raises:
        InputError: a file is not an image.
    """
    return list(tracked(_shown_sizes(paths), len(paths), "reading the sizes of images"))


def _shown_sizes(paths: Sequence[Path]) -> Iterator[Size]:
    start = time.perf_counter()
    yield from [shown_size(path) for path in paths[:TRIED]]
    if time.perf_counter() - start < SLOW * TRIED:
        yield from map(shown_size, paths[TRIED:])
        return
    with ThreadPoolExecutor(THREADS) as pool:
        yield from pool.map(shown_size, paths[TRIED:])


def shown_size(path: Path) -> Size:
    """Return the (height, width) of one image file, as `shown_sizes` does."""
    try:
        return read_header(path, sys.maxsize).shown_size  # `data.max_pixels` limits what is decoded
    except ItemError as error:
        raise InputError(f"{path} {error}") from None


def unused_files(used: Collection[Path], suffix: str) -> list[Path]:
    """Return the files with the suffix in the folders of `used` that are not in it."""
    folders = sorted({path.parent for path in used})
    return [path for folder in folders for path in sorted(folder.glob(f"*{suffix}")) if path not in used]


class ImageFolder:
    """The image files of a folder, found by the name that a label file gives.

    A name is tried as it is, then with both kinds of slashes, then in any letter case, Unicode form and URL quoting,
    then by its last part, as long as one file has it.
    """

    def __init__(self, folder: Path, notes: Notes | None = None) -> None:
        self.folder = folder
        self.paths = find_image_files(folder, notes)
        self.names = {path.relative_to(folder).as_posix(): path for path in self.paths}
        self._by_last: dict[str, list[str]] = {}
        self._by_stem: dict[str, list[str]] = {}
        self._by_key: dict[str, list[str]] = {}
        for name in self.names:
            self._by_key.setdefault(loosely(name), []).append(name)
            self._by_last.setdefault(loosely(PurePosixPath(name).name), []).append(name)
            self._by_stem.setdefault(PurePosixPath(name).stem, []).append(name)

    def find_for(self, label_file: Path, name: str) -> str:
        """Return what `find` does for a label file of one image, which may lie beside it and share its stem."""
        folder = label_file.parent
        beside = folder.relative_to(self.folder).as_posix() if folder.is_relative_to(self.folder) else ""
        return self.find(name, beside, label_file.stem)

    def find(self, name: str, beside: str = "", stem: str = "") -> str:
        """Return the name, below the folder, of the file that a label file calls `name`.

        Args:
            beside: the folder of the label file, below the images folder; "" is the images folder itself.
            stem: the name of the label file without its suffix, which its image may share.

        Raises:
            ItemError: there is no such file, or several.
        """
        plain = with_slashes(name)
        wanted = [name, plain, _joined(beside, plain)]
        for one in wanted:
            if one in self.names:
                return one
        last = loosely(PurePosixPath(plain).name)
        for candidates in (
            self._by_key.get(loosely(plain), []),
            self._by_last.get(last, []),
            self._by_stem.get(stem, []) if stem else [],
        ):
            near = [one for one in candidates if PurePosixPath(one).parent == PurePosixPath(beside or ".")]
            for some in (candidates, near):
                if len(some) == 1:
                    return some[0]
        if self._by_last.get(last):
            several = ", ".join(self._by_last[last][:3])
            raise ItemError(f"names the image {short_repr(name)}, which is several files in {self.folder}: {several}")
        hint = NearestNames(self.names).hint(name)
        raise ItemError(f"names the image {short_repr(name)}, which is not below {printable(str(self.folder))}{hint}")


def is_file(path: Path) -> bool:
    """Return whether a path is a file; a name that is too long or has a null byte is not."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """Return whether a path is a folder, as `is_file` does."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def common_folder(paths: Iterable[Path]) -> Path:
    """Return the deepest folder that holds all files."""
    return Path(os.path.commonpath([path.parent for path in paths]))


def _joined(folder: str, name: str) -> str:
    """Return a name relative to `folder`, with its .. resolved; "" if it leaves all folders."""
    parts: list[str] = [part for part in PurePosixPath(folder).parts if part != "."]
    for part in PurePosixPath(name).parts:
        if part == "..":
            if not parts:
                return ""
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "/".join(parts)
