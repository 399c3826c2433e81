"""Boxes in network pixels as detections in original pixels; nothing here loads torch."""

from __future__ import annotations

import numpy as np

from anchorloc.errors import InputError
from anchorloc.structures import Detections, FloatArray, IntArray, Sample


def to_detections(
    boxes: FloatArray, scores: FloatArray, labels: IntArray, anchors: IntArray, sample: Sample
) -> Detections:
    """Return network boxes (N, 4) with an area as detections in original pixels, clipped to the image.

    Raises:
        InputError: a box is NaN or infinite.
    """
    original = to_original(boxes, sample)
    if not np.isfinite(original).all():
        raise InputError(
            f"the network predicts NaN or infinite boxes for image {sample.image_id!r}; use another checkpoint"
        )
    return with_area(Detections(original, scores, labels, anchors, sample.image_id))


def with_area(found: Detections) -> Detections:
    """Return the detections whose boxes have an area."""
    return found.take(np.flatnonzero((found.boxes[:, 2:] > found.boxes[:, :2]).all(axis=1)))


def to_original(boxes: FloatArray, sample: Sample) -> FloatArray:
    """Return network boxes (N, 4) in the pixels of the original image, clipped to it."""
    vertical, horizontal = sample.scale
    height, width = sample.size
    scaled = boxes.astype(np.float64) / (horizontal, vertical, horizontal, vertical)
    return scaled.clip(0, (width, height, width, height))
