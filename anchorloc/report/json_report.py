"""The report as JSON: metrics.json."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from anchorloc.metrics import Bootstrap, ClassMetrics, Interval
from anchorloc.metrics.analysis import ERROR_TYPES, Analysis, ClassCurve, ShapeContribution
from anchorloc.report.analysis import captions
from anchorloc.report.captions import FEW, OPERATING_POINT, class_numbers, score_captions
from anchorloc.report.judgment import Judgment
from anchorloc.report.localization import LOCALIZATION_MEANINGS, localization_json


def evaluation_json(judgment: Judgment) -> dict[str, Any]:
    """Return the content of `metrics.json`; an undefined score is null."""
    evaluation, analysis = judgment.evaluation, judgment.analysis
    point = evaluation.operating_point
    return {
        "summary": evaluation.summary.named(),
        "max_detections": list(evaluation.summary.max_detections),
        "scoring": {name: {"value": value, "meaning": words} for name, (value, words) in judgment.scoring.items()},
        "counts": {
            "images": evaluation.images,
            "images_without_boxes": evaluation.empty_images,
            "boxes": evaluation.boxes,
            "crowd_boxes": evaluation.crowds,
            "detections": evaluation.detections,
            "detections_past_limit": evaluation.over_max_detections,
            "detections_of_classes_without_boxes": evaluation.unscored_detections,
        },
        "operating_point": None if point is None else asdict(point),
        "classes": [_class(metrics) for metrics in evaluation.classes],
        "meanings": {
            "summary": score_captions(evaluation),
            "operating_point": OPERATING_POINT,
            "classes": {**class_numbers(evaluation.protocol), "few": FEW},
            **({} if judgment.localization is None else {"localization": LOCALIZATION_MEANINGS}),
        },
        **({} if judgment.localization is None else {"localization": localization_json(judgment.localization)}),
        **({} if analysis is None else {"analysis": _analysis(analysis)}),
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
        "few": metrics.few,
        "crowd_boxes": metrics.crowds,
        "detections": metrics.detections,
    }


def _analysis(analysis: Analysis) -> dict[str, Any]:
    """Return the value of "analysis" in `metrics.json`; curves, images and the confusion matrix are CSV files."""
    errors, froc, calibration = analysis.errors, analysis.froc, analysis.calibration
    return {
        "score_threshold": analysis.threshold,
        "min_precision": analysis.min_precision,
        "intervals": None if analysis.bootstrap is None else _intervals(analysis.bootstrap),
        "thresholds": [_thresholds(curve) for curve in (analysis.overall_curve, *analysis.classes)],
        "errors": {
            kind: {"count": count, "AP50_gain": gain}
            for kind, count, gain in zip(ERROR_TYPES, errors.totals, errors.gains, strict=True)
        },
        "localization": captions.box_quality_numbers(analysis),
        "froc": froc and {f"{rate:g}": recall for rate, recall in froc.recall_at.items()},
        "calibration": calibration
        and [dict(zip(("detections", "score", "right"), one, strict=True)) for one in calibration.bins],
        "slices": [asdict(one) for one in analysis.slices],
        "anchors": [_shape(one) for one in analysis.shapes],
        "meanings": {
            "intervals": f"{captions.INTERVAL}; {captions.NO_INTERVAL}",
            "thresholds": captions.CLASS_COLUMNS,
            "errors": captions.ERRORS,
            "AP50_gain": captions.GAIN,
            "localization": captions.BOX_QUALITY,
            "froc": "recall by false positives per image",
            "calibration": "for each of ten score bins: detections, their mean score, and the share of true positives",
            "slices": captions.SLICE_COLUMNS,
            "anchors": captions.SHAPE_COLUMNS,
        },
    }


def _shape(one: ShapeContribution) -> dict[str, Any]:
    return {
        "level": one.level,
        "stride": one.stride,
        "size": one.size,
        "anchors": one.anchors,
        "kept": one.detection_fraction,
        "right": one.true_positive_fraction,
        "iou": one.iou,
        "ap_loss": one.ap_loss,
    }


def _intervals(found: Bootstrap) -> dict[str, Any]:
    return {
        "resamples": found.resamples,
        "seed": found.seed,
        **{name: _ends(interval) for name, interval in found.summary.items()},
        "classes": [_ends(interval) for interval in found.classes],
    }


def _ends(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]


def _thresholds(curve: ClassCurve) -> dict[str, Any]:
    return {
        "category_id": None if curve.category is None else curve.category.id,
        "best_f1": curve.best and asdict(curve.best),
        "at_precision": curve.at_precision and asdict(curve.at_precision),
    }
