"""Score with pycocotools, the scorer of record, without files.

Only this file imports pycocotools, and `evaluate` imports this file only when it scores with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from pycocotools import coco as coco_module
from pycocotools import cocoeval as cocoeval_module

from anchorloc.metrics.box_tables import DetectionTable, TruthTable
from anchorloc.metrics.matching import AREAS, IOU_THRESHOLDS, to_xywh
from anchorloc.metrics.scores import Scores
from anchorloc.metrics.weighted_ap import RECALLS
from anchorloc.structures import BoolArray, IntArray


def pycocotools_score(
    truth: TruthTable,
    detections: DetectionTable,
    image_order: Sequence[int],
    classes: int,
    max_detections: Sequence[int],
    by_size: bool = True,
) -> Scores:
    """Score by COCO's protocol.

    pycocotools visits every image for every class. We run it class by class, only over images that hold a box or a
    detection of the class: the others add nothing, and most images hold few of many classes.

    Args:
        image_order: the images in the order that ranks equal scores of different images.
        max_detections: detections counted per class and image, ascending.
        by_size: score small, medium and large boxes too, which takes four times as long; without it they stay -1.
    """
    image_ids = np.empty(len(image_order), np.int64)
    image_ids[np.asarray(image_order, np.int64)] = np.arange(1, len(image_order) + 1)
    tables, limits = (len(IOU_THRESHOLDS), len(RECALLS), classes, len(AREAS)), len(max_detections)
    precision = np.full(tables, -1.0)
    recall = np.full((tables[0], *tables[2:], limits), -1.0)
    matches, ignored = np.full((tables[0], len(detections.scores)), -1), np.ones(len(detections.scores), np.bool_)
    with _silent():
        evaluator = cocoeval_module.COCOeval(
            _coco(_truth_annotations(truth, image_ids), len(image_ids), classes),
            _coco(_detection_annotations(detections, image_ids), len(image_ids), classes),
            "bbox",
        )
        evaluator.params.maxDets = list(max_detections)
        if not by_size:
            evaluator.params.areaRng, evaluator.params.areaRngLbl = evaluator.params.areaRng[:1], ["all"]
        areas = slice(len(evaluator.params.areaRng))
        for label, images in _images_by_class(truth, detections):
            evaluator.params.catIds, evaluator.params.imgIds = [label + 1], image_ids[images].tolist()
            evaluator.evaluate()
            evaluator.accumulate()
            precision[:, :, label, areas] = evaluator.eval["precision"][:, :, 0, :, -1]
            recall[:, label, areas] = evaluator.eval["recall"][:, 0]
            _read_matches(evaluator.evalImgs, matches, ignored)
    return Scores(precision, recall, matches, ignored)


def _images_by_class(truth: TruthTable, detections: DetectionTable) -> Iterator[tuple[int, IntArray]]:
    """Yield every class that occurs, with its images."""
    labels = np.concatenate([truth.labels, detections.labels])
    images = np.concatenate([truth.images, detections.images])
    order = np.argsort(labels, kind="stable")
    used, firsts = np.unique(labels[order], return_index=True)
    for label, rows in zip(used.tolist(), np.split(order, firsts[1:]), strict=False):
        yield label, np.unique(images[rows])


def _truth_annotations(truth: TruthTable, image_ids: IntArray) -> list[dict[str, Any]]:
    """Return annotations with ids from 1: pycocotools reads a match with id 0 as no match."""
    columns = zip(
        image_ids[truth.images].tolist(),
        (truth.labels + 1).tolist(),
        to_xywh(truth.boxes).tolist(),
        truth.area.tolist(),
        truth.crowd.tolist(),
        strict=True,
    )
    return [
        {"id": row, "image_id": image, "category_id": label, "bbox": box, "area": area, "iscrowd": int(crowd)}
        for row, (image, label, box, area, crowd) in enumerate(columns, 1)
    ]


def _detection_annotations(detections: DetectionTable, image_ids: IntArray) -> list[dict[str, Any]]:
    boxes = to_xywh(detections.boxes)
    columns = zip(
        image_ids[detections.images].tolist(),
        (detections.labels + 1).tolist(),
        boxes.tolist(),
        (boxes[:, 2] * boxes[:, 3]).tolist(),
        detections.scores.tolist(),
        strict=True,
    )
    return [
        {"id": row, "image_id": image, "category_id": label, "bbox": box, "area": area, "score": score}
        for row, (image, label, box, area, score) in enumerate(columns, 1)
    ]


def _coco(annotations: list[dict[str, Any]], images: int, classes: int) -> Any:
    coco = coco_module.COCO()
    coco.dataset = {
        "images": [{"id": image} for image in range(1, images + 1)],
        "categories": [{"id": label} for label in range(1, classes + 1)],
        "annotations": annotations,
    }
    coco.createIndex()
    return coco


def _read_matches(image_results: list[dict[str, Any] | None], matches: IntArray, ignored: BoolArray) -> None:
    """Write the matches of one class at every IoU threshold, over all sizes."""
    whole = list(map(float, cocoeval_module.Params("bbox").areaRng[0]))
    for result in image_results:
        if result is not None and result["aRng"] == whole:
            rows = np.asarray(result["dtIds"], np.int64) - 1
            matches[:, rows] = result["dtMatches"].astype(np.int64) - 1
            ignored[rows] = result["dtIgnore"][0]


@contextmanager
def _silent() -> Iterator[None]:
    """Silence the prints of pycocotools alone: sys.stdout may belong to a running progress bar."""
    modules = (vars(coco_module), vars(cocoeval_module))
    for names in modules:
        names["print"] = lambda *_values, **_options: None
    try:
        yield
    finally:
        for names in modules:
            names.pop("print", None)
