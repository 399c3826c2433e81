"""Captions and sentences that explain an analysis, for every kind of output."""

from __future__ import annotations

from typing import Final

from anchorloc.metrics import Bootstrap, Interval
from anchorloc.metrics.analysis import Analysis, ShapeContribution
from anchorloc.metrics.evidence import MIN_BOXES, MIN_IMAGES
from anchorloc.text import counted, first_few

ERRORS: Final = {
    "class": "wrong class, tight box (IoU ≥ 0.5)",
    "localization": "right class, loose box (IoU 0.1 to 0.5)",
    "both": "wrong class and loose box (IoU 0.1 to 0.5)",
    "duplicate": "a detection of higher score already matches the box",
    "background": "no ground-truth box is near (IoU below 0.1)",
    "missed": "a ground-truth box that no detection matches, not even with the wrong class or a loose box",
}
SLICE_COLUMNS: Final = {
    "boxes": "ground-truth boxes in the slice, without crowds",
    "AP": "mean over classes and IoU 0.50 to 0.95; boxes outside the slice are ignored, as COCO does for sizes",
    "AP50": "AP at IoU 0.50",
    "found": "share of the boxes found at IoU 0.50, at any score",
    "AR": "share of the boxes found, mean over IoU 0.50 to 0.95",
    "IoU": "mean IoU of a box with the best detection of its class; 0 if there is none",
}
SHAPE_COLUMNS: Final = {
    "anchors": "share of all anchors: the cost of the shape",
    "detections": "share of the detections above the score threshold",
    "right": "share of the true positives above the score threshold",
    "IoU": "mean IoU of its true positives",
    "AP lost": "AP lost if its detections are removed: an upper bound on the cost of pruning the shape",
}
CLASS_COLUMNS: Final = {
    "threshold": "recommended score threshold: best F1, or highest recall at the minimum precision; "
    "n/a where all detections have one score",
    "precision": "share of the detections at or above the threshold that are true positives (IoU ≥ 0.5)",
    "recall": "share of the boxes that these detections find",
}
BOX_QUALITY: Final = {
    "class CorLoc": "share of (image, class) pairs whose top-scored detection has IoU ≥ 0.5",
    "mean IoU": "mean IoU of a box with the best detection of its class, at any score; 0 if there is none",
    "IoU of found": "mean IoU of the true positives above the score threshold",
    "ECE": "expected calibration error: mean gap between score and precision over ten bins; 0 is calibrated",
    "FROC": "mean recall at 1/8, 1/4, 1/2, 1, 2, 4 and 8 false positives per image",
}
GAIN: Final = "AP50 gain: how much AP50 rises if the counted errors of the type are fixed."
INTERVAL = "95% bootstrap interval over images. The interval covers the choice of images. It does not cover retraining"

NO_INTERVAL = f"no interval: under {MIN_BOXES} boxes, under {MIN_IMAGES} images with one, or all resamples agree"


def interval_text(interval: Interval | None) -> str:
    """Return the ends of an interval, or "" if there is none."""
    return "" if interval is None else f"{interval.low:.3f} to {interval.high:.3f}"


def interval_sentence(intervals: Bootstrap) -> str:
    """Say in one line of a terminal what the intervals are."""
    return f"95% intervals over images ({intervals.resamples:,} resamples); they do not cover retraining"


def box_quality_numbers(analysis: Analysis) -> dict[str, float | None]:
    """Return the values of BOX_QUALITY."""
    values = (
        analysis.box_quality.class_corloc,
        analysis.box_quality.mean_iou,
        analysis.box_quality.found_iou,
        None if analysis.calibration is None else analysis.calibration.ece,
        None if analysis.froc is None else analysis.froc.mean,
    )
    return dict(zip(BOX_QUALITY, values, strict=True))


def threshold_sentence(analysis: Analysis) -> str:
    """Say which detections the error counts are about."""
    if analysis.threshold is None:
        return "All detections, because none is a true positive, or because all have one score."
    return f"Detections of score ≥ {analysis.threshold:.2f}, where F1 over all classes is highest."


def recommendation_sentence(analysis: Analysis) -> str:
    """Say how the recommended score thresholds are chosen."""
    if analysis.min_precision is None:
        return "The recommended score threshold of a class maximizes F1."
    short = [curve for curve in analysis.classes if curve.best and not curve.at_precision]
    rest = f"; {counted(len(short), 'class')} without such a threshold: best F1" if short else ""
    precision = f"{analysis.min_precision:g}"
    return f"The recommended score threshold of a class maximizes recall at precision ≥ {precision}{rest}."


def precision_sentence(analysis: Analysis | None) -> str | None:
    """Say which score threshold has the wished precision over all classes; None where no precision is wished."""
    if analysis is None or analysis.min_precision is None:
        return None
    wished, point = f"precision {analysis.min_precision:g}", analysis.overall_curve.at_precision
    if point is None:
        return f"No score threshold reaches {wished} over all classes."
    return (
        f"At score ≥ {point.threshold:.4f}, the threshold of greatest recall at {wished}, {point.recall:.0%} of the "
        f"boxes are found and {point.precision:.0%} of the detections are true positives."
    )


def shape_name(one: ShapeContribution) -> str:
    """Return the name of a shape, or of a whole level."""
    if one.size is None:
        return f"level {one.level}, stride {one.stride:g}"
    return f"{one.size[0]:.1f} x {one.size[1]:.1f} px, level {one.level}"


def prunable(analysis: Analysis, least: float = 0.0005) -> list[ShapeContribution]:
    """Return the shapes whose detections are worth less than `least` AP, most anchors first."""
    cheap = [one for one in analysis.shapes if one.ap_loss is not None and one.ap_loss < least and one.size is not None]
    return sorted(cheap, key=lambda one: -one.anchors)


def prunable_sentence(analysis: Analysis) -> str | None:
    """Say which shapes could be pruned; None if the anchors of the detections are unknown."""
    if not analysis.shapes:
        return None
    shapes = prunable(analysis)
    if not shapes:
        return "No shape can be pruned: AP falls without the detections of any one of them."
    few = first_few([shape_name(one) for one in shapes], 4)
    share = sum(one.anchors for one in shapes)
    return (
        f"{len(shapes)} of the shapes, with {share:.1%} of the anchors, could be pruned one at a time without loss of "
        f"AP: {few}. Pruning several together may lose AP: train without them to find out."
    )
