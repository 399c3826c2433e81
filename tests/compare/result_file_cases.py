"""A small data set, and result files of detectors that differ in a known way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

IMAGES, SIDE = 30, 120
CLASSES = ("cat", "dog", "rare")


def write_case(folder: Path) -> None:
    """Write val.json, images, and the detections of good.json, good2.json, bad.json, and copy.json, equal to good.json.

    `good` finds all boxes, two of three tightly; `bad` misses every second dog, and has more false positives.
    """
    random = np.random.default_rng(0)
    (folder / "images").mkdir()
    images: list[dict[str, Any]] = []
    boxes: list[dict[str, Any]] = []
    for image in range(1, IMAGES + 1):
        name = f"video{(image - 1) // 3}_frame{image}.png"
        images.append({"id": image, "file_name": name, "width": SIDE, "height": SIDE, "video": (image - 1) // 3})
        Image.new("RGB", (SIDE, SIDE), (90, 120, image)).save(folder / "images" / name)
        for label in (0, 1, *([2] if image <= 5 else [])):
            x, y = (int(value) for value in random.integers(0, 80, 2))
            box = [x, y, 30, 30 - label]
            row = {"id": len(boxes) + 1, "image_id": image, "category_id": label + 1, "bbox": box, "iscrowd": 0}
            boxes.append({**row, "area": box[2] * box[3]})
    categories = [{"id": label, "name": name} for label, name in enumerate(CLASSES, 1)]
    write(folder / "val.json", {"images": images, "annotations": boxes, "categories": categories})
    for name, seed, good in (("good", 1, True), ("good2", 2, True), ("bad", 3, False)):
        write(folder / f"{name}.json", detections(boxes, np.random.default_rng(seed), good))
    (folder / "copy.json").write_bytes((folder / "good.json").read_bytes())


def detections(boxes: list[dict[str, Any]], random: np.random.Generator, good: bool) -> list[dict[str, Any]]:
    found = []
    for number, box in enumerate(boxes):
        x, y, width, height = box["bbox"]
        image, label = box["image_id"], box["category_id"]
        if good or label != 2 or image % 2:
            moved = [x + (8 if number % 3 == 0 else 1), y, width, height]
            score = round(float(random.uniform(0.3, 1)), 4)
            found.append({"image_id": image, "category_id": label, "bbox": moved, "score": score})
        for _ in range(random.poisson(0.1 if good else 1)):
            place = [float(value) for value in random.integers(0, 90, 2)]
            score = round(float(random.uniform(0, 0.8)), 4)
            found.append({"image_id": image, "category_id": label, "bbox": [*place, 20, 20], "score": score})
    return found


def write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")
