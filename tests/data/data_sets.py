"""Small data sets in COCO format, made for the tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIZES = {"a.png": (30, 40), "b.png": (24, 32)}  # (height, width)


def document() -> dict[str, Any]:
    """Two images, two categories, four annotations, one of them a crowd; everything in order."""
    return {
        "images": [
            {"id": 1 + place, "file_name": name, "height": height, "width": width}
            for place, (name, (height, width)) in enumerate(SIZES.items())
        ],
        "categories": [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}],
        "annotations": [
            {"id": 11, "image_id": 2, "category_id": 7, "bbox": [1, 2, 3, 4], "area": 11.5, "iscrowd": 0},
            {"id": 12, "image_id": 1, "category_id": 3, "bbox": [5, 6, 7.5, 8], "area": 60, "iscrowd": 0},
            {"id": 13, "image_id": 1, "category_id": 7, "bbox": [10, 10, 20, 20], "area": 400, "iscrowd": 1},
            {"id": 14, "image_id": 1, "category_id": 7, "bbox": [30, 20, 20, 20], "area": 400, "iscrowd": 0},
        ],
    }


def write_document(path: Path, content: Any) -> Path:
    """Write JSON, with its folder; a str is written as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def write_data_set(root: Path, train: Any = None, val: Any = None) -> Path:
    """Write a whole data set: both annotation files and noise for images."""
    write_document(root / "annotations" / "instances_train.json", train or document())
    write_document(root / "annotations" / "instances_val.json", val or document())
    (root / "images").mkdir()
    random = np.random.default_rng(0)
    for name, size in SIZES.items():
        Image.fromarray(random.integers(0, 256, (*size, 3), dtype=np.uint8)).save(root / "images" / name)
    return root
