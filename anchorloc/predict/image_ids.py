"""Give image files and classes their ids: numbers, or those that annotations list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from anchorloc.data.class_names import match_all_names
from anchorloc.data.coco_reader import id_at
from anchorloc.data.formats.nearest_names import last_part
from anchorloc.data.label_data import ImageList
from anchorloc.errors import InputError
from anchorloc.structures import Category, Size
from anchorloc.text import counted, short_repr, shorten

NOT_LISTED = "files left out, because the annotations do not list them"
NO_FILE = "images of the annotations that are not among the files"


@dataclass(frozen=True)
class ImageToRead:
    """An image file, and what the results and the annotations say of it."""

    path: Path
    name: str
    image_id: int | str
    size: Size | None = None  # declared by the annotations


def numbered(files: Sequence[tuple[Path, str]]) -> list[ImageToRead]:
    """Return the files (paths and names) with ids from 1."""
    return [ImageToRead(path, name, number) for number, (path, name) in enumerate(files, 1)]


def pick_listed(
    files: Sequence[tuple[Path, str]], explicit: Collection[Path], listed: ImageList
) -> tuple[list[ImageToRead], list[str]]:
    """Return the files that annotations list, and sentences on what only the files or only the annotations have.

    A file is found by its name, or if the annotations list no such name at all, by the last part of its name.

    Args:
        files: paths and names.
        explicit: paths that were given one by one, which must be listed.
        listed: the images of the annotations.

    Raises:
        InputError: no file is listed, or an explicit one is not, or a name belongs to several files or images.
    """
    names = listed.images.names.tolist()
    key: Callable[[str], str] = last_part if set(names).isdisjoint(name for _, name in files) else str
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        rows.setdefault(key(name), []).append(row)
    files_of = Counter(key(name) for _, name in files)
    picked = []
    for path, name in files:
        found = rows.get(key(name), [])
        if len(found) > 1 or (found and files_of[key(name)] > 1):
            raise InputError(
                f"{key(name)} is the name of {counted(files_of[key(name)], 'file')} and of "
                f"{counted(len(found), 'image')} of {listed.path}, so its id is not known; give each its own name"
            )
        if found:
            height, width = listed.images.sizes[found[0]].tolist()
            picked.append(ImageToRead(path, name, id_at(listed.images.ids, found[0]), (height, width)))
        elif path in explicit:
            raise InputError(f"{name} is not among the images of the annotations; give the folder of their images")
    if not picked:
        raise InputError(
            f"no file, such as {short_repr(files[0][1])}, is among the images of {listed.path}, such as "
            f"{short_repr(names[0])}; give the folder of their images"
        )
    used = {one.path for one in picked}
    rest = [name for path, name in files if path not in used]
    ids = {one.image_id for one in picked}
    absent = [name for row, name in enumerate(names) if id_at(listed.images.ids, row) not in ids]
    sentences = [
        f"{what}: {len(some):,} (first: {shorten(some[0])})"
        for what, some in ((NOT_LISTED, rest), (NO_FILE, absent))
        if some
    ]
    return picked, sentences


def class_ids(categories: Sequence[Category], listed: Sequence[Category]) -> tuple[tuple[Category, ...], list[str]]:
    """Return the classes of a model with the ids that annotations list, and a sentence if these differ.

    Classes are matched by name. Annotations that list no classes leave the ids as they are.

    Raises:
        InputError: the annotations lack a class, or a name belongs to several classes.
    """
    known = tuple(listed or categories)
    sides, advice = ("the model", "the annotations"), "give annotations with all classes of the model"
    changed = tuple(known[place] for place in match_all_names(categories, known, sides, advice, more=True))
    said = "the results have the class ids of the annotations, which differ from the model; names match the classes"
    return changed, [] if changed == tuple(categories) else [said]
