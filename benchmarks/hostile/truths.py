"""Cases with bad and odd COCO annotation files."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.hostile.base import document, score
from benchmarks.hostile.item import Item

Edit = Callable[[dict[str, Any]], object]


def put(where: str, row: int, key: str, value: object) -> Edit:
    """Return a change that sets one value of one item."""
    return lambda d: d[where][row].update({key: value})


def drop(where: str, row: int, key: str) -> Edit:
    """Return a change that removes one key of one item."""
    return lambda d: d[where][row].pop(key)


def ids(new: Callable[[int], object]) -> Edit:
    """Return a change that replaces the ids of images and categories everywhere."""

    def edit(d: dict[str, Any]) -> None:
        for item in (*d["images"], *d["categories"]):
            item["id"] = new(item["id"])
        for item in d["annotations"]:
            item.update(image_id=new(item["image_id"]), category_id=new(item["category_id"]))

    return edit


BOXES: dict[str, object] = {
    "negative width": [5, 6, -20, 21],
    "negative height": [5, 6, 20, -21],
    "NaN": [float("nan"), 6, 20, 21],
    "infinite": [5, 6, float("inf"), 21],
    "1e308": [5, 6, 1e308, 21],
    "past 1e7": [5, 6, 2e7, 21],
    "three numbers": [5, 6, 20],
    "five numbers": [5, 6, 20, 21, 3],
    "strings": ["5", "6", "20", "21"],
    "null": None,
    "null inside": [5, None, 20, 21],
    "object": {"x": 5, "y": 6, "w": 20, "h": 21},
    "nested": [[5, 6, 20, 21]],
    "true": [True, 6, 20, 21],
    "huge integer": [10**300, 6, 20, 21],
}
BAD: dict[str, Edit] = {
    **{f"bbox: {name}": put("annotations", 0, "bbox", box) for name, box in BOXES.items()},
    "bbox missing": drop("annotations", 0, "bbox"),
    "area NaN": put("annotations", 0, "area", float("nan")),
    "area negative": put("annotations", 0, "area", -1),
    "area a string": put("annotations", 0, "area", "420"),
    "iscrowd 2": put("annotations", 0, "iscrowd", 2),
    "iscrowd a string": put("annotations", 0, "iscrowd", "0"),
    "ignore 1": put("annotations", 0, "ignore", 1),
    "annotation id twice": put("annotations", 1, "id", 1),
    "annotation id a float": put("annotations", 1, "id", 1.5),
    "image id twice": put("images", 1, "id", 1),
    "image id of another type": put("annotations", 0, "image_id", "1"),
    "image ids mixed": put("images", 1, "id", "2"),
    "image id a list": put("images", 1, "id", [2]),
    "image id of 70 bits": put("images", 1, "id", 2**70),
    "image id missing": drop("images", 0, "id"),
    "category id twice": put("categories", 1, "id", 1),
    "category id null": put("categories", 1, "id", None),
    "category id true": put("categories", 1, "id", True),
    "category name missing": drop("categories", 0, "name"),
    "category name a number": put("categories", 0, "name", 7),
    "unknown category": put("annotations", 0, "category_id", 99),
    "unknown image": put("annotations", 0, "image_id", 99),
    "image_id missing": drop("annotations", 0, "image_id"),
    "category_id missing": drop("annotations", 0, "category_id"),
    "no categories": lambda d: d.pop("categories"),
    "empty categories": lambda d: d.update(categories=[]),
    "no images": lambda d: d.pop("images"),
    "empty images": lambda d: d.update(images=[]),
    "no annotations": lambda d: d.pop("annotations"),
    "annotations an object": lambda d: d.update(annotations={"1": d["annotations"][0]}),
    "annotation a list": lambda d: d["annotations"].append([1, 2]),
    "image null": lambda d: d["images"].append(None),
    "file_name missing": drop("images", 0, "file_name"),
    "file_name a number": put("images", 0, "file_name", 7),
    "file_name empty": put("images", 0, "file_name", ""),
    "file_name climbs": put("images", 0, "file_name", "../../etc/passwd"),
    "file_name absolute": put("images", 0, "file_name", "/etc/hostname"),
    "file_name climbs by backslash": put("images", 0, "file_name", "..\\secret.png"),
    "file_name with a drive": put("images", 0, "file_name", "C:\\secret.png"),
    "file_name with a null byte": put("images", 0, "file_name", "a.png\0.jpg"),
    "file_name half a surrogate": put("images", 0, "file_name", "\ud800.png"),
    "width 0": put("images", 0, "width", 0),
    "height negative": put("images", 0, "height", -48),
    "width a string": put("images", 0, "width", "64"),
    "width missing": drop("images", 0, "width"),
    "width 1.5": put("images", 0, "width", 1.5),
    "width 1e9": put("images", 0, "width", 1e9),
}
NAMES = {
    "html": "<script>document.title='taken'</script>",
    "newline": "dog\ncat",
    "escape": "\x1b[2Jdog",
    "right to left": "\u202edog",
    "formula": "=1+1",
    "of 10,000 characters": "d" * 10_000,
    "in Persian": "سگ",
    "empty": "",
    "markdown": "|a|`b`|[c](javascript:d)",
}
GOOD: dict[str, Edit] = {
    "in order": lambda d: None,
    "crowd": put("annotations", 0, "iscrowd", 1),
    "no iscrowd": drop("annotations", 0, "iscrowd"),
    "no area": drop("annotations", 0, "area"),
    "no annotation id": drop("annotations", 0, "id"),
    "annotation id 0": put("annotations", 0, "id", 0),
    "ignore 0": put("annotations", 0, "ignore", 0),
    "ids from 0": ids(lambda n: n - 1),
    "ids negative": ids(lambda n: -n),
    "ids far apart": ids(lambda n: n * 2**61),
    "ids strings": ids(lambda n: f"id {n}"),
    "box of zero size": put("annotations", 0, "bbox", [5, 6, 0, 0]),
    "box outside": put("annotations", 0, "bbox", [500, 600, 20, 21]),
    "box partly outside": put("annotations", 0, "bbox", [-5, -6, 20, 21]),
    "box of a pixel": put("annotations", 0, "bbox", [5, 6, 1, 1]),
    "box of 1e-9": put("annotations", 0, "bbox", [5, 6, 1e-9, 1e-9]),
    "no boxes": lambda d: d.update(annotations=[]),
    "mask": put("annotations", 0, "segmentation", {"size": [48, 64], "counts": "abc"}),
    "width 64.0": put("images", 0, "width", 64.0),
    "other keys": lambda d: d.update(info={"year": 2017}, licenses=[]),
    "2,000 boxes": lambda d: d["annotations"].extend(
        {"id": n, "image_id": 1, "category_id": 1, "bbox": [n % 40, n % 30, 9, 9]} for n in range(10, 2010)
    ),
    **{f"class name {name}": put("categories", 0, "name", text) for name, text in NAMES.items()},
}
TEXT = json.dumps(document())
RAW: dict[str, tuple[bool, object]] = {
    "with a byte order mark": (True, "\ufeff" + TEXT),
    "indented": (True, json.dumps(document(), indent=4)),
    "a list": (False, "[]"),
    "null": (False, "null"),
    "a number": (False, "3"),
    "empty": (False, ""),
    "truncated": (False, TEXT[: len(TEXT) // 2]),
    "with a comma too many": (False, TEXT[:-1] + ",}"),
    "with more behind it": (False, TEXT + "{}"),
    "in UTF-16": (False, TEXT.encode("utf-16")),
    "in Latin-1": (False, TEXT.replace("dog", "hündin").encode("latin-1")),
    "a picture": (False, b"\x89PNG\r\n\x1a\n" + bytes(range(256))),
    "nested 100,000 deep": (False, "[" * 100_000),
    "an object nested 100,000 deep": (False, '{"a":' * 100_000),
    "with an integer of 5,000 digits": (False, TEXT.replace("420", "4" * 5000)),
    "with a key twice": (False, TEXT.replace('"iscrowd": 0', '"iscrowd": 0, "iscrowd": 1', 1)),
    "with 1e999": (False, TEXT.replace("420", "1e999")),
    "with single quotes": (False, TEXT.replace('"', "'")),
    "a pipe": (False, None),
}


def items() -> Iterator[Item]:
    """Yield every case, scored against empty results."""
    for good, edits in ((False, BAD), (True, GOOD)):
        for name, edit in edits.items():
            changed = document()
            edit(changed)
            yield Item(f"annotations: {name}", good, "evaluate", lambda folder, d=changed: score(folder, d, []))  # type: ignore[misc]
    for name, (good, content) in RAW.items():
        yield Item(f"annotations {name}", good, "evaluate", lambda folder, c=content: score(folder, c, []))  # type: ignore[misc]
    yield Item("annotations: missing", False, "evaluate", _missing)
    yield Item("annotations: a folder", False, "evaluate", _folder)
    yield Item("annotations: of 1.1 GB", False, "evaluate", _huge)


def _missing(folder: Path) -> list[str]:
    words = score(folder, {}, [])
    (folder / "truth.json").unlink()
    return words


def _folder(folder: Path) -> list[str]:
    (folder / "truth.json").mkdir()
    return score(folder, {}, [])


def _huge(folder: Path) -> list[str]:
    words = score(folder, document(), [])
    os.truncate(folder / "truth.json", 1_100_000_000)  # a sparse file: it uses no disk space
    return words
