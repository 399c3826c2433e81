"""The analysis as JSON: a part of metrics.json."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from anchorloc.metrics import Bootstrap, Interval
from anchorloc.metrics.analysis import ERROR_TYPES, Analysis, ClassCurve
from anchorloc.report.analysis.captions import (
    BOX_QUALITY,
    CLASS_COLUMNS,
    ERRORS,
    INTERVAL,
    SHAPE_COLUMNS,
    SLICE_COLUMNS,
    box_quality_numbers,
)


def analysis_json(analysis: Analysis) -> dict[str, Any]:
    """Return the value of "analysis" in `metrics.json`; curves, images and the confusion matrix are CSV files."""
    errors, froc, calibration = analysis.errors, analysis.froc, analysis.calibration
    return {
        "score_threshold": analysis.threshold,
        "min_precision": analysis.min_precision,
        "intervals": None if analysis.bootstrap is None else _intervals(analysis.bootstrap),
        "thresholds": [_thresholds(curve) for curve in (analysis.everything, *analysis.classes)],
        "errors": {
            kind: {"count": count, "AP50_gain": gain}
            for kind, count, gain in zip(ERROR_TYPES, errors.totals, errors.gains, strict=True)
        },
        "localization": box_quality_numbers(analysis),
        "froc": froc and {f"{rate:g}": recall for rate, recall in froc.recall_at.items()},
        "calibration": calibration
        and [dict(zip(("detections", "score", "right"), one, strict=True)) for one in calibration.bins],
        "slices": [asdict(one) for one in analysis.slices],
        "anchors": [asdict(one) for one in analysis.shapes],
        "meanings": {
            "intervals": INTERVAL,
            "thresholds": CLASS_COLUMNS,
            "errors": ERRORS,
            "localization": BOX_QUALITY,
            "froc": "recall by false positives per image",
            "calibration": "for each of ten score bins: detections, their mean score, and the share of true positives",
            "slices": SLICE_COLUMNS,
            "anchors": SHAPE_COLUMNS,
        },
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
