"""Why the numbers are what they are: curves, errors, calibration, slices and the yield of anchors."""

from anchorloc.metrics.analysis.analysis import Analysis, Demands, analyze
from anchorloc.metrics.analysis.anchors import AnchorWork, ShapeYield
from anchorloc.metrics.analysis.calibration import Calibration
from anchorloc.metrics.analysis.confusion import Confusion
from anchorloc.metrics.analysis.curves import ClassCurve, Froc
from anchorloc.metrics.analysis.errors import KINDS, Errors
from anchorloc.metrics.analysis.images import ImageScore
from anchorloc.metrics.analysis.slices import SliceScore

__all__ = [
    "KINDS",
    "Analysis",
    "AnchorWork",
    "Calibration",
    "ClassCurve",
    "Confusion",
    "Demands",
    "Errors",
    "Froc",
    "ImageScore",
    "ShapeYield",
    "SliceScore",
    "analyze",
]
