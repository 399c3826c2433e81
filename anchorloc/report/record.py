"""The numbers as JSON, for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from anchorloc.metrics import ClassMetrics, Evaluation
from anchorloc.metrics.analysis import Analysis
from anchorloc.report.analysis.record import analysis_record


def evaluation_record(
    evaluation: Evaluation,
    facts: Mapping[str, object] | None = None,
    warnings: Sequence[str] | None = None,
    analysis: Analysis | None = None,
) -> dict[str, Any]:
    """Return everything in `metrics.json`; a number that does not exist is null."""
    point = evaluation.operating_point
    return {
        "summary": evaluation.summary.named(),
        "max_detections": list(evaluation.summary.max_detections),
        "counts": {
            "images": evaluation.images,
            "images_without_boxes": evaluation.empty_images,
            "boxes": evaluation.boxes,
            "crowd_boxes": evaluation.crowds,
            "detections": evaluation.detections,
            "detections_past_limit": evaluation.past_limit,
            "detections_of_classes_without_boxes": evaluation.unscored_detections,
        },
        "operating_point": None if point is None else asdict(point),
        "classes": [_class(metrics) for metrics in evaluation.classes],
        **({} if analysis is None else {"analysis": analysis_record(analysis)}),
        "warnings": list(evaluation.warnings if warnings is None else warnings),
        "facts": {
            key: value if isinstance(value, (int, float, str)) else str(value) for key, value in (facts or {}).items()
        },
    }


def _class(metrics: ClassMetrics) -> dict[str, Any]:
    return {
        "id": metrics.category.id,
        "name": metrics.category.name,
        "AP": metrics.ap,
        "AP50": metrics.ap50,
        "AP75": metrics.ap75,
        "AR": metrics.ar,
        "images": metrics.images,
        "boxes": metrics.boxes,
        "crowd_boxes": metrics.crowds,
        "detections": metrics.detections,
    }
