"""The report as JSON: metrics.json."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from anchorloc.metrics import ClassMetrics
from anchorloc.report.analysis.json_report import analysis_json
from anchorloc.report.judgment import Judgment


def evaluation_json(judgment: Judgment) -> dict[str, Any]:
    """Return the content of `metrics.json`; an undefined score is null."""
    evaluation, analysis = judgment.evaluation, judgment.analysis
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
        **({} if analysis is None else {"analysis": analysis_json(analysis)}),
        "warnings": judgment.all_warnings,
        "facts": {
            key: value if isinstance(value, (int, float, str)) else str(value) for key, value in judgment.facts.items()
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
