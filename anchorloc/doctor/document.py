"""An annotation file as it is, with whatever is wrong in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from anchorloc.data.item_error import json_type
from anchorloc.errors import InputError
from anchorloc.files import read_json, write_text
from anchorloc.text import short_repr

NOUNS = {"images": "image", "categories": "category", "annotations": "annotation"}


@dataclass(frozen=True, eq=False)
class Document:
    """The content of a COCO annotation file, nothing of it checked but that it lists images."""

    path: Path
    content: Mapping[str, Any]
    folder: Path | None = None  # of its images, if they are to be looked at
    constants: tuple[str, ...] = ()  # NaN and Infinity as often as the file has them, which is not JSON

    def items(self, name: str) -> list[Any]:
        """Return one of the lists of NOUNS, empty where the file has none."""
        value = self.content.get(name)
        return value if isinstance(value, list) else []

    def describe(self, items: str, row: int) -> str:
        """Name an item by its id, or by its place where it has none, and by its file."""
        if not items:
            return self.path.name
        item = self.items(items)[row] if 0 <= row < len(self.items(items)) else None
        if not isinstance(item, dict) or item.get("id") is None:
            name = f"{NOUNS[items]} at {row}"
        else:
            name = f"{NOUNS[items]} {short_repr(item['id'])}"
        file_name = self.file_name(items, row)
        return f"{name} ({file_name})" if file_name else name

    def file_name(self, items: str, row: int) -> str:
        """Return the file_name of an image, or of the image of an annotation; "" if there is none."""
        item = self.items(items)[row] if items and 0 <= row < len(self.items(items)) else None
        if not isinstance(item, dict):
            return ""
        if items == "annotations":
            image_id: Any = item.get("image_id")
            return self._names.get(image_id, "") if type(image_id) in (int, str) else ""
        return str(item.get("file_name") or "") if items == "images" else ""

    @cached_property
    def _names(self) -> dict[int | str, str]:
        images = [item for item in self.items("images") if isinstance(item, dict)]
        return {item["id"]: str(item.get("file_name") or "") for item in images if type(item.get("id")) in (int, str)}


def read_document(path: Path, folder: Path | None = None, whole: bool = False) -> Document:
    """Read a COCO annotation file.

    Args:
        path: the file.
        folder: the folder of its images, if they are to be looked at.
        whole: keep masks too, in order to write the file again; they may take gigabytes.

    Raises:
        InputError: it is no JSON object with a list of images, or `folder` is missing.
    """
    if folder is not None and not folder.is_dir():
        raise InputError(f"the images folder {folder} does not exist; check --images and --val-images")
    aside = {} if whole else {"skip": ["keypoints"], "condense": ["segmentation"]}
    constants: list[str] = []
    content = read_json(path, constants=constants, **aside)
    if not isinstance(content, dict):
        raise InputError(
            f"{path} holds {json_type(content)}, not an object with images, annotations and categories; "
            "give a COCO annotation file"
        )
    if not isinstance(content.get("images"), list):
        raise InputError(f"{path} has no list 'images'; give a COCO annotation file")
    return Document(path, content, folder, tuple(constants))


def write_json_rows(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON object with one line an item of its lists, so that two versions can be compared line by line.

    Raises:
        InputError: the file system refuses, or a number is infinite or NaN, which JSON has no word for.
    """
    try:
        parts = [f"{json.dumps(key)}: {_rows(value)}" for key, value in content.items()]
    except (ValueError, RecursionError):
        raise InputError(
            f"{path} cannot be written: a number in the annotations is infinite or NaN, or a value nests too deep; "
            "correct it"
        ) from None
    write_text(path, "{\n" + ",\n".join(parts) + "\n}\n")


def _rows(value: Any) -> str:
    if not isinstance(value, list) or not value:
        return _dump(value)
    return "[\n" + ",\n".join(map(_dump, value)) + "\n]"


def _dump(value: Any) -> str:
    text = json.dumps(value, allow_nan=False, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # half a character, which UTF-8 does not have
        return json.dumps(value, allow_nan=False)
    return text
