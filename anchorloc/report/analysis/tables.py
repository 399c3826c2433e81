"""Write the analysis as CSV tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from anchorloc.metrics import Evaluation
from anchorloc.metrics.analysis import ERROR_TYPES, Analysis
from anchorloc.report.analysis.captions import ERRORS
from anchorloc.report.csv import write_csv

MAX_MATRIX_CLASSES = 1000  # more classes give a confusion.csv of pairs; the cells of 10,000 take 200 MB

Rows = Iterator[Sequence[object]]


def write_csv_tables(folder: Path, analysis: Analysis, evaluation: Evaluation, names: Sequence[str]) -> None:
    """Write classes, curves, errors, confusion, slices, images and, if the anchors are known, anchors.

    Args:
        names: file names of the images.

    Raises:
        InputError: the file system refuses.
    """
    write_csv(folder / "classes.csv", CLASS_HEADER, _classes(analysis, evaluation))
    write_csv(folder / "curves.csv", ("class", "threshold", "precision", "recall", "F1"), _curves(analysis))
    totals = zip(ERROR_TYPES, analysis.errors.totals, analysis.errors.gains, strict=True)
    rows = ((kind, count, gain, ERRORS[kind]) for kind, count, gain in totals)
    write_csv(folder / "errors.csv", ("error", "count", "AP50 gain", "meaning"), rows)
    classes = [one.category.shown_name for one in evaluation.classes]
    if len(classes) <= MAX_MATRIX_CLASSES:
        matrix = zip([*classes, "background"], analysis.confusion.matrix.tolist(), strict=True)
        write_csv(folder / "confusion.csv", ("true class", *classes, "missed"), ([true, *row] for true, row in matrix))
    else:
        write_csv(folder / "confusion.csv", ("true class", "detected class", "count"), _pairs(analysis, classes))
    header = ("group", "part", "boxes", "AP", "AP50", "found", "AR", "IoU")
    write_csv(folder / "slices.csv", header, (list(vars(one).values()) for one in analysis.slices))
    images = ((names[one.index], one.boxes, one.true_positives, one.false_positives, one.f1) for one in analysis.images)
    write_csv(folder / "images.csv", ("image", "boxes", "found", "wrong", "F1"), images)
    if analysis.shapes:
        write_csv(folder / "anchors.csv", ANCHOR_HEADER, _anchors(analysis))


CLASS_HEADER = (
    *("class", "AP", "AP low", "AP high", "AP50", "AP75", "AR", "images", "boxes", "detections"),
    *("threshold", "precision", "recall", "F1"),
    *ERROR_TYPES,
)
ANCHOR_HEADER = ("level", "stride", "width", "height", "anchors", "detections", "right", "IoU", "AP lost")


def _classes(analysis: Analysis, evaluation: Evaluation) -> Rows:
    intervals = [None] * len(evaluation.classes) if analysis.bootstrap is None else analysis.bootstrap.classes
    rows = zip(evaluation.classes, analysis.classes, intervals, analysis.errors.counts.tolist(), strict=True)
    for one, curve, interval, errors in rows:
        ends = (None, None) if interval is None else (interval.low, interval.high)
        point = (None,) * 4 if curve.recommended is None else tuple(vars(curve.recommended).values())
        numbers = (one.ap50, one.ap75, one.ar, one.images, one.boxes, one.detections)
        yield (one.category.shown_name, one.ap, *ends, *numbers, *point, *errors)


def _pairs(analysis: Analysis, classes: Sequence[str]) -> Rows:
    found = analysis.confusion
    rows, columns = [*classes, "background"], [*classes, "missed"]
    for true, detected, count in zip(found.true.tolist(), found.detected.tolist(), found.counts.tolist(), strict=True):
        yield rows[true], columns[detected], count


def _curves(analysis: Analysis) -> Rows:
    for curve in (analysis.overall_curve, *analysis.classes):
        name = "" if curve.category is None else curve.category.shown_name
        yield from ((name, *vars(point).values()) for point in curve.points)


def _anchors(analysis: Analysis) -> Rows:
    for one in analysis.shapes:
        size = one.size or (None, None)
        shares = (one.anchors, one.detection_fraction, one.true_positive_fraction)
        yield (one.level, one.stride, *size, *shares, one.iou, one.ap_loss)
