"""The analysis as values for the templates of the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from anchorloc.metrics import Evaluation
from anchorloc.metrics.analysis import ERROR_TYPES, Analysis, ClassCurve
from anchorloc.report.analysis import captions
from anchorloc.report.chart import Chart, DrawnChart, draw_chart
from anchorloc.text import shorten, signed

MAX_LINES = 5  # classes in a chart, besides "all classes"
MAX_CONFUSIONS = 20
MAX_MATRIX = 12  # largest number of classes with a full confusion matrix on the page; confusion.csv has all
UNIT = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]


@dataclass(frozen=True)
class ErrorRow:
    """A row of the table of error types."""

    kind: str
    meaning: str
    count: int
    width: float  # percent of the longest bar
    gain: str


@dataclass(frozen=True)
class Matrix:
    """The confusion matrix of few classes."""

    columns: list[str]
    rows: list[tuple[str, list[tuple[int, float]]]]  # (true class, per column (count, share of the row))


def sections(analysis: Analysis, evaluation: Evaluation) -> dict[str, Any]:
    """Return the values for `analysis/sections.html` and the class table."""
    intervals = () if analysis.bootstrap is None else analysis.bootstrap.classes
    numbers = captions.box_quality_numbers(analysis)
    return {
        "errors": _errors(analysis),
        "gain_note": f"AP50 is {evaluation.summary.ap50 or 0:.3f}.",
        "threshold_sentence": captions.threshold_sentence(analysis),
        "recommendation_sentence": captions.recommendation_sentence(analysis),
        "class_columns": captions.CLASS_COLUMNS,
        "recommended": [curve.recommended for curve in analysis.classes],
        "class_intervals": [captions.interval_text(one) for one in intervals],
        "interval_meaning": captions.INTERVAL,
        "charts": _charts(analysis),
        "localization": [(key, numbers[key], captions.BOX_QUALITY[key]) for key in captions.BOX_QUALITY],
        "confusions": _confusions(analysis),
        "matrix": _matrix(analysis),
        "slice_columns": captions.SLICE_COLUMNS,
        "slices": [(group, list(rows)) for group, rows in groupby(analysis.slices, key=lambda one: one.group)],
        "yield_columns": captions.SHAPE_COLUMNS,
        "yields": [(captions.shape_name(one), one, signed(one.ap_loss)) for one in analysis.shapes],
        "prunable": captions.prunable_sentence(analysis),
    }


def _errors(analysis: Analysis) -> list[ErrorRow]:
    errors = analysis.errors
    longest = max(1, *errors.totals)
    return [
        ErrorRow(kind, captions.ERRORS[kind], count, 100 * count / longest, signed(gain))
        for kind, count, gain in zip(ERROR_TYPES, errors.totals, errors.gains, strict=True)
    ]


def _charts(analysis: Analysis) -> list[tuple[DrawnChart, str]]:
    shown = sorted(analysis.classes, key=lambda curve: -curve.boxes)[:MAX_LINES]
    curves = [analysis.overall_curve, *(shown if len(analysis.classes) > 1 else [])]
    points = analysis.overall_curve.points
    by_score = {
        what: [(point.threshold, getattr(point, what.lower())) for point in reversed(points)]
        for what in ("precision", "recall", "F1")
    }
    bins = [] if analysis.calibration is None else analysis.calibration.bins
    reliability = {
        "detections": [(score, share) for _, score, share in bins],
        "perfect calibration": [(0.0, 0.0), (1.0, 1.0)],
    }
    alarms = [] if analysis.froc is None else analysis.froc.points
    charts = [
        (
            Chart("Precision by recall, IoU 0.5", "recall", {_name(c): _pr(c) for c in curves}, UNIT, False),
            "From the highest score down. The classes with the most boxes; curves.csv has all classes.",
        ),
        (
            Chart("By score threshold, all classes, IoU 0.5", "score threshold", by_score, UNIT, False),
            "Detections at or above each threshold. F1 is the harmonic mean of precision and recall.",
        ),
        (
            Chart("FROC, IoU 0.5", "false positives per image", {"all classes": alarms}, list(range(9)), False),
            "Share of the boxes found, by the number of false positives per image.",
        ),
        (
            Chart("Reliability, IoU 0.5", "mean score of a bin", reliability if bins else {}, UNIT, False),
            "Share of true positives by score, in ten bins. Below the line scores are overconfident, above it "
            "underconfident.",
        ),
    ]
    return [(drawn, words) for chart, words in charts if (drawn := draw_chart(chart)) is not None]


def _name(curve: ClassCurve) -> str:
    return "all classes" if curve.category is None else shorten(curve.category.shown_name, 20)


def _pr(curve: ClassCurve) -> Sequence[tuple[float, float]]:
    return [(point.recall, point.precision) for point in curve.points]


def _names(analysis: Analysis) -> list[str]:
    return [shorten(str(curve.category.shown_name)) for curve in analysis.classes if curve.category is not None]


def _confusions(analysis: Analysis) -> list[tuple[str, str, int, float]]:
    """Return the most frequent (true class, detected class, count, share of the boxes of the true class)."""
    names, boxes = _names(analysis), analysis.confusion.boxes
    pairs = list(analysis.confusion.pairs())[:MAX_CONFUSIONS]
    return [(names[true], names[found], count, count / int(boxes[true])) for true, found, count in pairs]


def _matrix(analysis: Analysis) -> Matrix | None:
    names = _names(analysis)
    if not 1 < len(names) <= MAX_MATRIX:
        return None
    rows = zip([*names, "background"], analysis.confusion.matrix.tolist(), strict=True)
    return Matrix(
        [*names, "missed"],
        [(true, [(count, count / max(1, sum(row))) for count in row]) for true, row in rows],
    )
