"""A COCO annotation file as it is, mistakes included."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from anchorloc.data import LabeledData, read
from anchorloc.data.formats import is_coco_file
from anchorloc.data.formats.reading_progress import parsing
from anchorloc.data.image_settings import DEFAULT_SETTINGS, ImageSettings
from anchorloc.doctor.masks import condensed
from anchorloc.errors import InputError
from anchorloc.files import read_json, write_text
from anchorloc.text import json_type, short_repr

NOUNS = {"images": "image", "categories": "category", "annotations": "annotation"}


@dataclass(frozen=True, eq=False)
class CocoDocument:
    """The content of a COCO annotation file; only the presence of a list of images is checked."""

    path: Path
    content: Mapping[str, Any]
    folder: Path | None = None  # images folder; None: the image files are not checked
    nan_literals: tuple[str, ...] = ()  # every NaN and Infinity in the file: JSON does not allow them
    split: str = ""  # train, val or test, where there are several
    reading: ImageSettings = DEFAULT_SETTINGS  # how the image files are read
    numbered: bool = False  # the reader has given the ids; the labels have none

    def with_content(self, content: Mapping[str, Any]) -> CocoDocument:
        """Return a document of its own with the same image files."""
        return replace(self, content=content, nan_literals=(), split="")

    def items(self, name: str) -> list[Any]:
        """Return the list "images", "categories" or "annotations"; empty if the file lacks it."""
        value = self.content.get(name)
        return value if isinstance(value, list) else []

    def describe(self, list_name: str, row: int) -> str:
        """Name an item by its id, or by its row if it has no id, and by its image file."""
        if not list_name:
            return self.path.name
        item = self.items(list_name)[row] if 0 <= row < len(self.items(list_name)) else None
        if not isinstance(item, dict) or item.get("id") is None:
            name = f"{NOUNS[list_name]} at row {row}"
        else:
            name = f"{NOUNS[list_name]} {short_repr(item['id'])}"
        file_name = self.file_name(list_name, row)
        return f"{name} ({file_name})" if file_name else name

    def file_name(self, list_name: str, row: int) -> str:
        """Return the file_name of an image or of the image of an annotation; "" if there is none."""
        item = self.items(list_name)[row] if list_name and 0 <= row < len(self.items(list_name)) else None
        if not isinstance(item, dict):
            return ""
        if list_name == "annotations":
            image_id: Any = item.get("image_id")
            return self._names.get(image_id, "") if type(image_id) in (int, str) else ""
        return str(item.get("file_name") or "") if list_name == "images" else ""

    @cached_property
    def _names(self) -> dict[int | str, str]:
        images = [item for item in self.items("images") if isinstance(item, dict)]
        return {item["id"]: str(item.get("file_name") or "") for item in images if type(item.get("id")) in (int, str)}


def read_document(path: Path, folder: Path | None = None, whole: bool = False) -> CocoDocument:
    """Read a COCO annotation file.

    Args:
        path: the file.
        folder: the images folder; None does not check the image files.
        whole: keep the masks, to write the file again; they may take gigabytes.

    Raises:
        InputError: the file is not a JSON object with a list of images, or `folder` does not exist.
    """
    if folder is not None and not folder.is_dir():
        raise InputError(f"the images folder {folder} does not exist; give an existing folder")
    nan_literals: list[str] = []
    skip, condense = ([], {}) if whole else (["keypoints"], {"segmentation": condensed})
    with parsing(path):
        content = read_json(path, skip, condense, nan_literals)
    if not isinstance(content, dict):
        raise InputError(
            f"{path} holds {json_type(content)}, not an object with images, annotations and categories; "
            "give a COCO annotation file"
        )
    if not isinstance(content.get("images"), list):
        raise InputError(f"{path} has no list 'images'; give a COCO annotation file")
    return CocoDocument(path, content, folder, tuple(nan_literals))


def read_documents(
    path: Path, folder: Path | None = None, whole: bool = False, kind: str = "auto"
) -> tuple[list[CocoDocument], LabeledData | None, tuple[str, ...]]:
    """Read the labels of a file or folder in any format: a document for each split, train first.

    COCO files are taken as they are; other formats are read strictly, so that a file that is no label file is refused.

    Args:
        folder: as for `read_document`; None takes the images folder of the labels, except for a single COCO file.

    Returns:
        The documents; what `anchorloc.data.read` gives for the labels, None for a single COCO file; and sentences on
        how the labels were read.

    Raises:
        InputError: as `read_document`, or as `anchorloc.data.read`.
    """
    if is_coco_file(path, kind) or not path.exists():
        return [read_document(path, folder, whole)], None, ()
    data = read(path, kind, folder)
    several = len(data.splits) > 1
    documents = []
    for split, labels in data.splits.items():
        document = CocoDocument(labels.path, labels.document, labels.folder, numbered=True)
        if data.format == "COCO":
            document = read_document(labels.path, labels.folder, whole)
        documents.append(replace(document, split=split if several else ""))
    return documents, data, (f"{data.describe()}; {data.place()}", *data.notes)


def write_json_rows(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON object with one line per list item, so that `diff` can compare two versions.

    Raises:
        InputError: the file system refuses, or a number is NaN or infinite, which JSON does not allow.
    """
    try:
        text = json_rows(content)
    except ValueError:
        place = not_finite(content)
        raise InputError(f"{path} cannot be written: {place} is NaN or infinite; correct it, or leave it out") from None
    except RecursionError:
        raise InputError(f"{path} cannot be written: a value nests too deep; leave it out") from None
    write_text(path, text)


def not_finite(value: Any, place: str = "") -> str:
    """Return where in a JSON value the first number is that is NaN or infinite, such as images[3].score; "" if none."""
    if isinstance(value, float):
        return "" if math.isfinite(value) else place
    if isinstance(value, list):
        found = (not_finite(one, f"{place}[{row}]") for row, one in enumerate(value))
    elif isinstance(value, dict):
        found = (not_finite(one, f"{place}.{key}".lstrip(".")) for key, one in value.items())
    else:
        return ""
    return next(filter(None, found), "")


def json_rows(content: Mapping[str, Any]) -> str:
    """Return a JSON object with one line per list item.

    Raises:
        ValueError: a number is NaN or infinite.
    """
    parts = [f"{json.dumps(key)}: {_rows(value)}" for key, value in content.items()]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _rows(value: Any) -> str:
    if not isinstance(value, list) or not value:
        return _dump(value)
    return "[\n" + ",\n".join(map(_dump, value)) + "\n]"


def _dump(value: Any) -> str:
    text = json.dumps(value, allow_nan=False, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate, which UTF-8 cannot encode
        return json.dumps(value, allow_nan=False)
    return text
