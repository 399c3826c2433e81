"""Score detections against ground truth by COCO's protocol, with pycocotools or its faster twin."""

from anchorloc.metrics.bootstrap import Bootstrap, Interval, bootstrap, image_weights
from anchorloc.metrics.evaluation import ClassMetrics, Evaluation, evaluate, match_targets
from anchorloc.metrics.localization import IOU_THRESHOLDS as LOCALIZATION_IOUS
from anchorloc.metrics.localization import Localization, localize
from anchorloc.metrics.matching import AREAS, IOU_THRESHOLDS, Outcomes
from anchorloc.metrics.operating_point import OperatingPoint, best_f1
from anchorloc.metrics.scores import Scores
from anchorloc.metrics.summary import CocoSummary, summarize
from anchorloc.metrics.weighted_ap import RECALLS, PrecisionRecall, weighted_curves

__all__ = [
    "AREAS",
    "IOU_THRESHOLDS",
    "LOCALIZATION_IOUS",
    "RECALLS",
    "Bootstrap",
    "ClassMetrics",
    "CocoSummary",
    "Evaluation",
    "Interval",
    "Localization",
    "OperatingPoint",
    "Outcomes",
    "PrecisionRecall",
    "Scores",
    "best_f1",
    "bootstrap",
    "evaluate",
    "image_weights",
    "localize",
    "match_targets",
    "summarize",
    "weighted_curves",
]
