"""Explain the numbers: curves, error types, calibration, slices and the contribution of each anchor shape."""

from anchorloc.metrics.analysis.analyze import Analysis, AnalysisOptions, analyze
from anchorloc.metrics.analysis.anchors import AnchorUsage, ShapeContribution
from anchorloc.metrics.analysis.confusion import Confusion
from anchorloc.metrics.analysis.curves import Calibration, ClassCurve, Froc
from anchorloc.metrics.analysis.error_types import ERROR_TYPES, Errors
from anchorloc.metrics.analysis.image_scores import BoxQuality, ImageScore
from anchorloc.metrics.analysis.slices import SliceScore

__all__ = [
    "ERROR_TYPES",
    "Analysis",
    "AnalysisOptions",
    "AnchorUsage",
    "BoxQuality",
    "Calibration",
    "ClassCurve",
    "Confusion",
    "Errors",
    "Froc",
    "ImageScore",
    "ShapeContribution",
    "SliceScore",
    "analyze",
]
