"""What the numbers of an evaluation mean, in sentences."""

from __future__ import annotations

from anchorloc.metrics import Evaluation
from anchorloc.text import counted


def size_line(evaluation: Evaluation) -> str:
    """Write what was judged, in one line."""
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
    """Say what a user of the detector would see at its best score threshold."""
    point = evaluation.operating_point
    if point is None:
        return None
    return (
        f"At score ≥ {point.threshold:.2f}, where F1 is greatest ({point.f1:.2f}), {point.recall:.0%} of the boxes are "
        f"found and {point.precision:.0%} of the detections are right (IoU ≥ 0.5)."
    )


def explanations(max_detections: tuple[int, ...]) -> dict[str, str]:
    """Say in one line what each of COCO's numbers is, by its name."""
    last = max_detections[-1]
    recalls = {f"AR{count}": f"recall with {counted(count, 'detection')} a class and image" for count in max_detections}
    return {
        "AP": "average precision, mean over IoU 0.50 to 0.95 and classes",
        "AP50": "a box is found at IoU ≥ 0.50",
        "AP75": "a box is found at IoU ≥ 0.75: tight",
        "APs": "small boxes, area up to 32² px",
        "APm": "medium boxes, 32² to 96² px",
        "APl": "large boxes, area from 96² px",
        **recalls,
        "ARs": f"recall of small boxes, {last} detections",
        "ARm": f"recall of medium boxes, {last} detections",
        "ARl": f"recall of large boxes, {last} detections",
    }
