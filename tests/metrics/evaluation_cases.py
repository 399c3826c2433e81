"""Ground truth and detections for tests: by hand, from COCO JSON, and random."""

from __future__ import annotations

import contextlib
import copy
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from anchorloc.structures import Category, Detections, Target

Boxes = list[list[float]]


def target(boxes: Boxes, labels: list[int] | None = None, crowd: list[bool] | None = None) -> Target:
    """Return the ground truth of one image; class 0 and no crowd boxes by default."""
    array = np.array(boxes, np.float64).reshape(-1, 4)
    area = (array[:, 2] - array[:, 0]) * (array[:, 3] - array[:, 1])
    names = np.array(labels or [0] * len(array), np.int64)
    crowds = np.array(crowd or [False] * len(array), np.bool_)
    return Target(array, names, crowds, area, np.arange(len(array)))


def found(image_id: int | str, boxes: Boxes, scores: list[float], labels: list[int] | None = None) -> Detections:
    """Return the detections of one image; class 0 by default."""
    array = np.array(boxes, np.float64).reshape(-1, 4)
    names = np.array(labels or [0] * len(array), np.int64)
    return Detections(array, np.array(scores, np.float64), names, np.full(len(array), -1), image_id)


Json = dict[str, Any]


def from_coco(truth: Json, results: list[Json]) -> tuple[list[Target], list[Detections], tuple[Category, ...]]:
    """Convert COCO JSON in memory to our structures; `area` and `iscrowd` may be missing."""
    categories = tuple(Category(category["id"], category["name"]) for category in truth["categories"])
    labels = {category.id: label for label, category in enumerate(categories)}

    def xyxy(annotations: list[Json]) -> list[list[float]]:
        return [[x, y, x + w, y + h] for x, y, w, h in (annotation["bbox"] for annotation in annotations)]

    targets, detections = [], []
    for image in truth["images"]:
        mine = [annotation for annotation in truth["annotations"] if annotation["image_id"] == image["id"]]
        whole = target(xyxy(mine), [labels[a["category_id"]] for a in mine], [bool(a.get("iscrowd", 0)) for a in mine])
        area = np.array([a.get("area", a["bbox"][2] * a["bbox"][3]) for a in mine], np.float64)
        targets.append(Target(whole.boxes, whole.labels, whole.crowd, area, whole.rows))
        dets = [result for result in results if result["image_id"] == image["id"]]
        classes = [labels[result["category_id"]] for result in dets]
        detections.append(found(image["id"], xyxy(dets), [result["score"] for result in dets], classes))
    return targets, detections, categories


def raw_pycocotools(
    truth: Json,
    results: list[Json],
    max_detections: list[int],
    ious: Sequence[float] | None = None,
    areas: Sequence[Sequence[float]] | None = None,
) -> COCOeval:
    """Score with pycocotools directly; avoid its traps with ids from 1 and every field present."""
    truth = copy.deepcopy(truth)
    for number, annotation in enumerate(truth["annotations"], 1):
        annotation["id"] = number
        annotation.setdefault("iscrowd", 0)
        annotation.setdefault("area", annotation["bbox"][2] * annotation["bbox"][3])
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = truth
        coco.createIndex()
        evaluator = COCOeval(coco, coco.loadRes(copy.deepcopy(results)), "bbox")
        evaluator.params.maxDets = max_detections
        if ious is not None and areas is not None:
            evaluator.params.iouThrs, evaluator.params.areaRng = np.array(ious), [list(area) for area in areas]
        evaluator.evaluate()
        evaluator.accumulate()
        if max_detections == [1, 10, 100] and ious is None:
            evaluator.summarize()
    return evaluator


def random_set(seed: int, images: int = 12) -> tuple[Json, list[Json]]:
    """Return a small COCO set with every known trap of scorers. Coordinates are quarters, so nothing is rounded."""
    rng = np.random.default_rng(seed)
    categories = [{"id": 3 * number + 7, "name": f"class {number}"} for number in range(4)]  # ids with gaps
    entries = [{"id": int(number)} for number in rng.permutation(images)]
    annotations: list[Json] = []
    results: list[Json] = []
    for image in entries[2:]:  # the first two stay empty
        for _ in range(rng.integers(0, 7)):
            side = rng.choice([0, 4, 31.75, 32, 32.25, 60, 96, 96.25, 200], size=2)
            box = [*(rng.integers(0, 400, 2) / 4).tolist(), float(side[0]), float(side[rng.integers(2)])]
            label = int(rng.integers(3))  # the last class has no truth
            annotation = {"id": len(annotations), "image_id": image["id"], "category_id": 3 * label + 7, "bbox": box}
            if rng.random() < 0.8:
                annotation["area"] = float(rng.choice([box[2] * box[3], 1024, 9216]))
            if rng.random() < 0.8:
                annotation["iscrowd"] = int(rng.random() < 0.15)
            annotations.append(annotation)
            for _ in range(rng.integers(0, 4)):
                moved = [value + float(rng.integers(-8, 9)) / 4 for value in box]
                moved[2:] = np.maximum(moved[2:], 0).tolist()
                results.append({"category_id": 3 * label + 7, "bbox": moved, "image_id": image["id"]})
    for _ in range(30):
        box = [*(rng.integers(0, 400, 2) / 4).tolist(), *(rng.integers(1, 400, 2) / 4).tolist()]
        label, image = int(rng.integers(4)), entries[rng.integers(len(entries))]
        results.append({"category_id": 3 * label + 7, "bbox": box, "image_id": image["id"]})
    for result in results:
        result["score"] = float(rng.integers(0, 11)) / 10  # many ties, within and across images
    return {"images": entries, "categories": categories, "annotations": annotations}, results


def iou(a: Any, b: Any) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    both = max(width, 0) * max(height, 0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both
    return float(both / union) if union else 0.0


def without_ties(seed: int, images: int = 12) -> tuple[Json, list[Json]]:
    truth, results = random_set(seed, images)
    scores = np.random.default_rng(seed).permutation(len(results)) + 1
    for result, score in zip(results, scores.tolist(), strict=True):
        result["score"] = score / (len(results) + 1)
    return truth, results
