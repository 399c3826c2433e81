"""Match the images that a COCO file lists with the files of their folder: names written otherwise, missing sizes."""

from __future__ import annotations

import sys
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from anchorloc.data.formats.image_finder import THREADS, image_names
from anchorloc.data.formats.labels import Notes
from anchorloc.data.formats.nearest_names import last_part, loosely, with_slashes
from anchorloc.data.image_paths import is_absent, locate, name_of_url
from anchorloc.data.images import needs_turning, read_header
from anchorloc.errors import ItemError
from anchorloc.structures import Size
from anchorloc.text import short_repr

FROM_URL: Final = "images without file_name: {}; the end of their URL is used"
SIZE_OF_FILE: Final = "images without width and height: {}; the size of the file is used"
OTHERWISE: Final = "file names that are written otherwise than the files are called: {{}}; they are equal but for {}"
RULES: Final[dict[str, Callable[[str], str]]] = {  # the first rule that serves all missing names counts
    "backslashes": with_slashes,
    "the Unicode form": lambda name: unicodedata.normalize("NFC", name),
    "letter case": str.casefold,
    "URL quoting": unquote,
    "blanks around them": str.strip,
    "folders": last_part,
    "slashes, case, form, quoting and blanks": loosely,
    "folders, case, form, quoting and blanks": lambda name: last_part(loosely(name)),
}
BY_URL: Final = "the end of coco_url"

Item = dict[str, Any]


def name_from_urls(images: Sequence[Item], notes: Notes) -> None:
    """Give images without a file_name the one at the end of their coco_url (LVIS) or absolute_url (Azure)."""
    for item in images:
        name = name_of_url(item.get("coco_url")) or name_of_url(item.get("absolute_url"))
        if item.get("file_name") is None and name:
            item["file_name"] = name
            notes.add(FROM_URL, name)


def match_files(images: Sequence[Item], folder: Path, notes: Notes) -> None:
    """Name images after the files that are meant, and give those without width and height the size of their file."""
    named = [item for item in images if type(item.get("file_name")) is str]
    absent = [is_absent(folder, item["file_name"]) for item in named]
    missing = [item for item, is_missing in zip(named, absent, strict=True) if is_missing]
    found = [item["file_name"] for item, is_missing in zip(named, absent, strict=True) if not is_missing]
    rule, names = near_names(missing, found, folder)
    for item, name in zip(missing, names, strict=False):
        notes.add(OTHERWISE.format(rule), f"{short_repr(item['file_name'])} is {name}")
        item["file_name"] = name
    unsized = [item for item in named if lacks_size(item)]
    with ThreadPoolExecutor(THREADS) as pool:
        sizes = list(pool.map(lambda item: _size_of(folder, item["file_name"]), unsized))
    for item, size in zip(unsized, sizes, strict=True):
        if size is not None:
            item["height"], item["width"] = size
            notes.add(SIZE_OF_FILE, item["file_name"])


def lacks_size(item: Item) -> bool:
    """Return whether the width or height of an image is left out, null or 0, as tools write what they do not know."""
    values = [item.get(key) for key in ("height", "width")]
    return any(value is None or (type(value) in (int, float) and value == 0) for value in values)


def near_names(missing: Sequence[Item], found: Collection[str], folder: Path) -> tuple[str, list[str]]:
    """Return the files that missing images mean, and the rule by which their names agree; "" and [] if there is none.

    One rule must give each missing image exactly one file that has the declared size and that no other image names.

    Args:
        missing: images with a file_name that their folder does not have.
        found: the names of all other images.
        folder: the images folder.

    Raises:
        InputError: a folder inside cannot be read.
    """
    if not missing or not folder.is_dir():
        return "", []
    free = sorted(set(image_names(folder)) - set(found))
    stated = [item["file_name"] for item in missing]
    urls = [last_part(name_of_url(item.get("coco_url"))) for item in missing]
    rules = [(rule, key, [key(name) for name in stated]) for rule, key in RULES.items()]
    for rule, key, wanted in (*rules, (BY_URL, last_part, urls)):
        names = _one_each(missing, wanted, key, free, folder)
        if names and len(set(names)) == len(set(stated)):
            return rule, names
    return "", []


def may_have_files(missing: Sequence[Item], found: Collection[str], folder: Path) -> list[bool]:
    """Return for each missing image whether any free file has its name by the loosest rule, or by its coco_url.

    Raises:
        InputError: a folder inside cannot be read.
    """
    free = {last_part(loosely(name)) for name in set(image_names(folder)) - set(found)} if folder.is_dir() else set()
    names = [(item["file_name"], name_of_url(item.get("coco_url"))) for item in missing]
    return [any(last_part(loosely(name)) in free for name in pair if name) for pair in names]


def _one_each(
    missing: Sequence[Item], wanted: Sequence[str], key: Callable[[str], str], free: Sequence[str], folder: Path
) -> list[str]:
    """Return for each image the only file whose name has the wanted key and that has the declared size, or []."""
    files = defaultdict(list)
    for name in free:
        files[key(name)].append(name)
    names = []
    for item, text in zip(missing, wanted, strict=True):
        fitting = [name for name in files.get(text, ()) if _has_declared_size(item, folder, name)]
        if len(fitting) != 1:
            return []
        names += fitting
    return names


def _has_declared_size(item: Item, folder: Path, name: str) -> bool:
    """Return whether a file can be read and has the declared size, or whether none is declared."""
    try:
        header = read_header(locate(folder, name), sys.maxsize)
        if not lacks_size(item):
            needs_turning(header, (item["height"], item["width"]))
    except ItemError:
        return False
    return True


def _size_of(folder: Path, name: str) -> Size | None:
    """Return the size of an image file; None if it cannot be read, and the check of the images says why."""
    try:
        return read_header(locate(folder, name), sys.maxsize).shown_size  # the limit of the data decides later
    except ItemError:
        return None
