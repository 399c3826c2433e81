"""Captions and sentences that explain the scores of an evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from anchorloc.metrics import ClassMetrics, Evaluation
from anchorloc.metrics.evidence import MIN_BOXES, MIN_IMAGES
from anchorloc.metrics.protocol import COCO, Protocol
from anchorloc.text import counted, first_few

AP_MEANING: Final = "AP: mean over classes, IoU 0.50 to 0.95 and 101 recall points"
OPERATING_POINT: Final = "the score threshold of the best F1 of all classes together, at IoU 0.50"
FEW: Final = f"few: under {MIN_BOXES} boxes, or under {MIN_IMAGES} images with one, so no interval and no verdict"
MAX_CLASSES = 500  # rows of the class table of a page


def size_line(evaluation: Evaluation) -> str:
    """Return the counts of images, boxes, detections and classes in one line."""
    parts = [
        counted(evaluation.images, "image"),
        counted(evaluation.boxes, "box"),
        counted(evaluation.detections, "detection"),
        counted(len(evaluation.classes), "class"),
    ]
    if evaluation.crowds:
        parts.insert(2, counted(evaluation.crowds, "crowd box", "crowd boxes"))
    return " · ".join(parts)


def boxes_text(metrics: ClassMetrics) -> str:
    """Return the number of boxes of a class, marked "few" where it is too small for a verdict."""
    return f"{'few: ' if metrics.few else ''}{metrics.boxes:,}"


def operating_sentence(evaluation: Evaluation) -> str | None:
    """Say what the detector finds at its best score threshold; None without a true positive."""
    point = evaluation.operating_point
    if point is None:
        return None
    return (
        f"At score ≥ {point.threshold:.2f}, where F1 is highest ({point.f1:.2f}), {point.recall:.0%} of the boxes are "
        f"found and {point.precision:.0%} of the detections are true positives (IoU ≥ 0.5)."
    )


def iou_text(protocol: Protocol) -> str:
    """Return the IoU thresholds that AP and AR are means over, as they are printed."""
    if protocol.ious == COCO.ious:
        return "IoU 0.50 to 0.95"
    return f"IoU {first_few([f'{iou:g}' for iou in protocol.ious], 8)}"


def ap_meaning(protocol: Protocol) -> str:
    """Return in one line what AP is the mean over."""
    return f"AP: mean over classes, {iou_text(protocol)} and 101 recall points"


def class_numbers(protocol: Protocol) -> dict[str, str]:
    """Return what each number of a class is, by its name."""
    return {
        "AP": f"AP of the class: mean over {iou_text(protocol)} and 101 recall points",
        "AP50": "AP at IoU 0.50",
        "AP75": "AP at IoU 0.75",
        "AR": f"recall, mean over {iou_text(protocol)}, at the last of max_detections",
        "images": "images with a box of the class",
        "boxes": "ground-truth boxes, without crowd boxes",
        "detections": "detections of the class, at any score",
    }


def score_captions(evaluation: Evaluation) -> dict[str, str]:
    """Return what each of the COCO scores is, in one line, by its name."""
    max_detections, (low, high) = evaluation.summary.max_detections, evaluation.protocol.size_borders
    last = max_detections[-1]
    recalls = {
        f"AR{count}": f"recall, at most {counted(count, 'detection')} per class and image" for count in max_detections
    }
    return {
        "AP": f"average precision, mean over classes, {iou_text(evaluation.protocol)} and 101 recall points",
        "AP50": "AP at IoU 0.50",
        "AP75": "AP at IoU 0.75: tight boxes",
        "APs": f"AP of small boxes, area up to {low:g}² px",
        "APm": f"AP of medium boxes, area {low:g}² to {high:g}² px",
        "APl": f"AP of large boxes, area from {high:g}² px",
        **recalls,
        "ARs": f"recall of small boxes, at most {last} detections",
        "ARm": f"recall of medium boxes, at most {last} detections",
        "ARl": f"recall of large boxes, at most {last} detections",
    }


def shown_classes(classes: Sequence[ClassMetrics], most: int = MAX_CLASSES) -> list[int]:
    """Return the labels to list, ascending: all, or of more than `most` classes those with the most boxes.

    Classes without boxes and detections are listed only where all are.
    """
    if len(classes) <= most:
        return list(range(len(classes)))
    used = [label for label, one in enumerate(classes) if one.boxes or one.detections]
    return sorted(sorted(used, key=lambda label: -classes[label].boxes)[:most])


def hidden_sentence(hidden: int) -> str | None:
    """Say how many classes a table leaves out; None if it has all."""
    return f"and {counted(hidden, 'class')} with fewer boxes or none; metrics.json lists all" if hidden else None
