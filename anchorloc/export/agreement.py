"""Compare the detections of an exported model with the detections of the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from anchorloc.boxes import box_iou
from anchorloc.detector import Decoder
from anchorloc.errors import InputError
from anchorloc.structures import Detections
from anchorloc.text import counted

BOX_LIMIT = 1e-2  # pixels
SCORE_LIMIT = 1e-4
IOU_LIMIT = 1e-4  # within it of nms_iou, NMS may decide either way


@dataclass(frozen=True)
class Agreement:
    """How far the exported model and the network agree."""

    images: int
    detections: int  # found by both
    max_box_difference: float  # pixels
    max_score_difference: float
    at_threshold: int  # found by only one, with a score or an IoU at a threshold

    def __str__(self) -> str:
        others = f"; only one of the two finds {self.at_threshold:,} more, at a threshold"
        return (
            f"compared with the network on {counted(self.images, 'image')}, {self.detections:,} detections: boxes "
            f"within {self.max_box_difference:.1e} px, scores within {self.max_score_difference:.1e}"
            f"{others if self.at_threshold else ''}"
        )


def check_agreement(ours: Sequence[Detections], theirs: Sequence[Detections], decoder: Decoder) -> Agreement:
    """Return how far the detections of the network and of the exported model agree.

    Raises:
        InputError: a detection of either, unless it lies at a threshold, has no counterpart of its class with box and
            score within the limits; or nothing is found at all.
    """
    box, score, both, excused = 0.0, 0.0, 0, 0
    for image, (first, second) in enumerate(zip(ours, theirs, strict=True)):
        pairs = _pairs(first, second)
        for row, partner in pairs:
            box = max(box, float(np.abs(first.boxes[row] - second.boxes[partner]).max()))
            score = max(score, abs(float(first.scores[row]) - float(second.scores[partner])))
        both += len(pairs)
        for one, other, used in ((first, second, {a for a, _ in pairs}), (second, first, {b for _, b in pairs})):
            for row in sorted(set(range(len(one))) - used):
                if not _at_a_threshold(one, other, row, decoder):
                    raise InputError(
                        f"the exported model differs from the network: in image {image + 1} only one of them finds the "
                        f"box {one.boxes[row].round(2).tolist()} of score {one.scores[row]:.4f}; no file was written"
                    )
                excused += 1
    if not both:
        raise InputError("the network finds nothing in the images of the check; give --images with objects in them")
    return Agreement(len(ours), both, box, score, excused)


def _pairs(first: Detections, second: Detections) -> list[tuple[int, int]]:
    """Pair each detection with the nearest unpaired one of its class, box and score within the limits."""
    free = np.ones(len(second), np.bool_)
    pairs = []
    for row in range(len(first)):
        apart = np.abs(second.boxes - first.boxes[row]).max(axis=1, initial=0)
        fits = free & (second.labels == first.labels[row]) & (apart <= BOX_LIMIT)
        fits &= np.abs(second.scores - first.scores[row]) <= SCORE_LIMIT
        if fits.any():
            partner = int(np.where(fits, apart, np.inf).argmin())
            free[partner] = False
            pairs.append((row, partner))
    return pairs


def _at_a_threshold(one: Detections, other: Detections, row: int, decoder: Decoder) -> bool:
    score = float(one.scores[row])
    if abs(score - decoder.score_threshold) <= SCORE_LIMIT:
        return True
    if len(other) == decoder.max_detections and score <= float(other.scores[-1]) + SCORE_LIMIT:
        return True
    rivals = decoder.class_agnostic_nms | (other.labels == one.labels[row])
    overlaps = box_iou(one.boxes[[row]], other.boxes[rivals])
    return bool((np.abs(overlaps - decoder.nms_iou) <= IOU_LIMIT).any())
