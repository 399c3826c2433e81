"""Where the pictures of images are written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from anchorloc.files import folded_name, portable_name


def picture_paths(names: Sequence[str]) -> list[PurePosixPath]:
    """Return a .jpg path for the picture of each image, in folders as the images are.

    What Windows forbids is replaced. No two paths are one file on any system, and none is a folder of another.
    """
    folders = [PurePosixPath(*map(portable_name, PurePosixPath(name).parts[:-1])) for name in names]
    taken = {folded_name(str(one)) for folder in set(folders) for one in (folder, *folder.parents)}
    paths = []
    for name, folder in zip(names, folders, strict=True):
        stem, number = PurePosixPath(name).stem, 1
        path = folder / portable_name(f"{stem}.jpg")
        while folded_name(str(path)) in taken:
            number += 1
            path = folder / portable_name(f"{stem}-{number}.jpg")
        taken.add(folded_name(str(path)))
        paths.append(path)
    return paths
