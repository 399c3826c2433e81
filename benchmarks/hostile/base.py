"""A valid data set, which the cases damage, and a very short training."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIZE = (48, 64)  # (height, width)
TINY = [
    "detector.backbone={channels: [8, 8, 8, 8], blocks: [1, 1, 1, 1]}",
    "detector.pyramid.channels=8",
    "detector.head={channels: 8, depth: 1}",
    "transform.resize={kind: Letterbox, height: 64, width: 64}",
    "train.length=1 iterations",
    "train.batch_size=2",
    "train.workers=0",
]


def document() -> dict[str, Any]:
    """Return annotations of two images, two classes and three boxes."""
    return {
        "images": [
            {"id": 1, "file_name": "a.png", "height": SIZE[0], "width": SIZE[1]},
            {"id": 2, "file_name": "b.png", "height": SIZE[0], "width": SIZE[1]},
        ],
        "categories": [{"id": 1, "name": "dog"}, {"id": 2, "name": "cat"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [5, 6, 20, 21], "area": 420, "iscrowd": 0},
            {"id": 2, "image_id": 1, "category_id": 2, "bbox": [30, 8, 16, 16], "area": 256, "iscrowd": 0},
            {"id": 3, "image_id": 2, "category_id": 1, "bbox": [9, 9, 25, 18], "area": 450, "iscrowd": 0},
        ],
    }


def picture(size: tuple[int, int] = SIZE) -> Image.Image:
    """Return noise from a fixed seed."""
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8))


def write(path: Path, content: object) -> Path:
    """Write bytes and text unchanged, other values as JSON; None makes a pipe, on which a careless reader hangs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if content is None:
        os.mkfifo(path)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def data_set(folder: Path, content: object = None) -> list[str]:
    """Write a data set into `folder`; return the words that train on it."""
    write(folder / "a.json", document() if content is None else content)
    (folder / "images").mkdir(exist_ok=True)
    for name in ("a.png", "b.png"):
        if not (folder / "images" / name).exists():
            picture().save(folder / "images" / name)
    root = json.dumps(str(folder))
    return [*TINY, f"data={{kind: CocoData, root: {root}, train: a.json, val: a.json}}", "--out", str(folder / "out")]


def score(folder: Path, truth: object, found: object) -> list[str]:
    """Write annotations and results; return the words that score them."""
    words = ["--detections", str(folder / "found.json"), "--annotations", str(folder / "truth.json")]
    for name, content in (("truth.json", truth), ("found.json", found)):
        if not (folder / name).exists():
            write(folder / name, content)
    return [*words, "--out", str(folder / "out")]
