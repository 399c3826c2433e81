"""Score the detections of images on other images: what a network finds without looking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from anchorloc.data import Annotations
from anchorloc.metrics import evaluate
from anchorloc.structures import Detections

SHIFTS = (1 / 2, 1 / 3)  # shares of the images: neighbors, such as the frames of a video, are alike


def ap_on_other_images(
    detections: Sequence[Detections], truth: Annotations, max_detections: Sequence[int] = (1, 10, 100)
) -> float | None:
    """Return the mean AP of detections that are moved to other images, scaled with them.

    It is about that of the images themselves where detections do not depend on the image: a network that was trained on
    boxes of other images learns where objects usually are, and no more. None with under four images, or without boxes.

    Args:
        detections: of every image of `truth`, in its order.
        truth: sizes and boxes.
        max_detections: as in `evaluate`.
    """
    count = len(truth)
    if count < 4:
        return None
    targets = [truth.target(index) for index in range(count)]
    sizes = np.array([truth.size(index) for index in range(count)], np.float64)  # (N, 2) height, width
    found = []
    for shift in (round(share * count) for share in SHIFTS):
        moved = []
        for index in range(count):
            one = detections[(index + shift) % count]
            height, width = sizes[index] / sizes[(index + shift) % count]
            boxes = (one.boxes * np.array([width, height, width, height])).astype(one.boxes.dtype)
            moved.append(replace(one, boxes=boxes, image_id=detections[index].image_id))
        scores = evaluate(targets, moved, truth.categories, max_detections, by_size=False)
        if scores.summary.ap is None:
            return None
        found.append(scores.summary.ap)
    return float(np.mean(found))
