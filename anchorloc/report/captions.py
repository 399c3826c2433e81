"""Captions and sentences that explain the scores of an evaluation."""

from __future__ import annotations

from collections.abc import Sequence

from anchorloc.metrics import ClassMetrics, Evaluation
from anchorloc.text import counted

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


def operating_sentence(evaluation: Evaluation) -> str | None:
    """Say what the detector finds at its best score threshold; None without a true positive."""
    point = evaluation.operating_point
    if point is None:
        return None
    return (
        f"At score ≥ {point.threshold:.2f}, where F1 is highest ({point.f1:.2f}), {point.recall:.0%} of the boxes are "
        f"found and {point.precision:.0%} of the detections are true positives (IoU ≥ 0.5)."
    )


def score_captions(max_detections: tuple[int, ...]) -> dict[str, str]:
    """Return what each of the COCO scores is, in one line, by its name."""
    last = max_detections[-1]
    recalls = {
        f"AR{count}": f"recall, at most {counted(count, 'detection')} per class and image" for count in max_detections
    }
    return {
        "AP": "average precision, mean over classes and IoU 0.50 to 0.95",
        "AP50": "AP at IoU 0.50",
        "AP75": "AP at IoU 0.75: tight boxes",
        "APs": "AP of small boxes, area up to 32² px",
        "APm": "AP of medium boxes, area 32² to 96² px",
        "APl": "AP of large boxes, area from 96² px",
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
