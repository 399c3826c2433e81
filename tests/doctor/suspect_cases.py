"""Labels with one error of each kind, and the detections of a good model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

IMAGES, SIDE = 30, 200
BOX, SECOND = [20, 20, 60, 60], [110, 100, 50, 70]


def sound() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return labels of two objects an image, a cat (id 3) and a dog (id 7), and results that find all of them.

    Scores fall from 0.95 to 0.7, and boxes are up to 2 px off. Each image has a false detection of score 0.05 too.
    """
    random = np.random.default_rng(0)
    labels: dict[str, Any] = {
        "images": [{"id": i, "file_name": f"{i}.png", "height": SIDE, "width": SIDE} for i in range(1, IMAGES + 1)],
        "categories": [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}],
        "annotations": [],
    }
    results = []
    for image in range(1, IMAGES + 1):
        for place, (category, box) in enumerate(((3, BOX), (7, SECOND))):
            labels["annotations"].append(
                {"id": 10 * image + place, "image_id": image, "category_id": category, "bbox": box, "iscrowd": 0}
                | {"area": box[2] * box[3]}
            )
            found = (np.array(box) + random.uniform(-2, 2, 4)).round(2).tolist()
            results.append(_result(image, category, found, round(float(random.uniform(0.7, 0.95)), 3)))
        results.append(_result(image, 3, [150, 10, 40, 30], 0.05))
    return labels, results


def with_errors() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return `sound` labels in which 20 has the wrong class, 50 is gone, 81 is loose and 999 doubles 110."""
    labels, results = sound()
    items = {item["id"]: item for item in labels["annotations"]}
    items[20]["category_id"] = 7
    items[81]["bbox"] = [125, 115, 50, 70]
    labels["annotations"].remove(items[50])
    labels["annotations"].append({**items[110], "id": 999, "bbox": [23, 22, 60, 58]})
    return labels, results


def write_case(folder: Path, labels: dict[str, Any], results: list[dict[str, Any]]) -> tuple[Path, Path]:
    """Write both files, and return their paths."""
    paths = folder / "labels.json", folder / "results.json"
    for path, content in zip(paths, (labels, results), strict=True):
        path.write_text(json.dumps(content), encoding="utf-8")
    return paths


def _result(image: int, category: int, bbox: list[float], score: float) -> dict[str, Any]:
    return {"image_id": image, "category_id": category, "bbox": bbox, "score": score}
