"""What each part of an analysis means, in a line, for every kind of output."""

from __future__ import annotations

from typing import Final

from anchorloc.metrics import Bootstrap, Interval
from anchorloc.metrics.analysis import Analysis, ShapeContribution
from anchorloc.text import counted, three_decimals

ERRORS: Final = {
    "class": "a box is there (IoU ≥ 0.5), but of another class",
    "localization": "the right class, but the box fits badly (IoU 0.1 to 0.5)",
    "both": "another class, and the box fits badly (IoU 0.1 to 0.5)",
    "duplicate": "a surer detection has found this box already",
    "background": "no box is there (IoU below 0.1)",
    "missed": "a box that no detection finds, nor an error of class or localization is about",
}
SLICE_COLUMNS: Final = {
    "boxes": "boxes to find in this part",
    "AP": "mean over IoU 0.50 to 0.95 and classes; boxes of other parts are ignored, as COCO does for sizes",
    "AP50": "the same at IoU 0.50",
    "found": "share of the boxes found at IoU 0.50, at any score",
    "AR": "the same, mean over IoU 0.50 to 0.95",
    "IoU": "of a box with the best detection of its class, on average; 0 where there is none",
}
YIELD_COLUMNS: Final = {
    "anchors": "share of all anchors: what it costs",
    "detections": "share of the detections above the score threshold",
    "right": "share of the right ones: what it earns",
    "IoU": "of its right detections with their boxes, on average",
    "AP lost": "if its detections were left out of the stored ones: the most that pruning it can cost",
}
CLASS_COLUMNS: Final = {
    "threshold": "recommended score threshold: of best F1, or of the wanted precision",
    "precision": "share of the detections at and above it that are right (IoU ≥ 0.5)",
    "recall": "share of the boxes that they find",
}
BOX_QUALITY: Final = {
    "class CorLoc": "share of (image, class) pairs whose top-scored detection has IoU ≥ 0.5",
    "mean IoU": "of every box with the best detection of its class, at any score; 0 where there is none",
    "IoU of found": "of the right detections above the score threshold with their boxes",
    "ECE": "calibration: mean distance of score and share right, over ten bins; at 0 a score is a probability",
    "FROC": "recall, mean over 1/8, 1/4, 1/2, 1, 2, 4 and 8 false alarms an image",
}
INTERVAL = "95% interval over images: how far the number moves with other images; not with another training"


def interval_text(interval: Interval | None) -> str:
    """Write an interval, or nothing."""
    return "" if interval is None else f"{interval.low:.3f} to {interval.high:.3f}"


def interval_sentence(intervals: Bootstrap) -> str:
    """Say in one line of a terminal how the intervals were made."""
    return f"95% interval over images ({intervals.resamples:,} resamples), not over trainings"


def box_quality_numbers(analysis: Analysis) -> dict[str, float | None]:
    """Return the numbers of BOX_QUALITY."""
    values = (
        analysis.box_quality.class_corloc,
        analysis.box_quality.mean_iou,
        analysis.box_quality.found_iou,
        None if analysis.calibration is None else analysis.calibration.ece,
        None if analysis.froc is None else analysis.froc.mean,
    )
    return dict(zip(BOX_QUALITY, values, strict=True))


def threshold_sentence(analysis: Analysis) -> str:
    """Say which detections are looked at."""
    if analysis.threshold is None:
        return "Every detection is looked at, since none is right."
    return f"Counted among the detections of score {analysis.threshold:.2f} and more, where F1 of all classes is best."


def wanted_sentence(analysis: Analysis) -> str:
    """Say what the recommended thresholds are."""
    if analysis.min_precision is None:
        return "Recommended thresholds are those of the best F1."
    missed = [curve for curve in analysis.classes if curve.best and not curve.at_precision]
    rest = f"; that of the best F1 where none reaches it ({counted(len(missed), 'class')})" if missed else ""
    return f"Recommended thresholds are those of most recall at precision {analysis.min_precision:g} or more{rest}."


def shape_name(one: ShapeContribution) -> str:
    """Name a level or a shape of it."""
    if one.size is None:
        return f"level {one.level}, stride {one.stride:g}"
    return f"{one.size[0]:.1f} x {one.size[1]:.1f} px, level {one.level}"


def prunable(analysis: Analysis, least: float = 0.0005) -> list[ShapeContribution]:
    """The shapes whose detections can be left out at a loss of AP that rounds to 0.000, the dearest first."""
    cheap = [one for one in analysis.shapes if one.ap_loss is not None and one.ap_loss < least and one.size is not None]
    return sorted(cheap, key=lambda one: -one.anchors)


def prunable_sentence(analysis: Analysis) -> str | None:
    """Say which shapes do not earn their cost; None where there are no yields."""
    if not analysis.shapes:
        return None
    shapes = prunable(analysis)
    if not shapes:
        return "Every shape earns its cost: leaving out the detections of any loses AP."
    few = "; ".join(shape_name(one) for one in shapes[:4])
    more = f" and {len(shapes) - 4} more" if len(shapes) > 4 else ""
    return (
        f"{len(shapes)} of the shapes, with {sum(one.anchors for one in shapes):.1%} of the anchors, could be pruned "
        f"one by one without loss of AP: {few}{more}. Together they may be missed: train without them to know."
    )


def signed(value: float | None) -> str:
    """Write a gain or a loss."""
    return three_decimals(None) if value is None else f"{value:+.3f}"
