"""Detections and truth in, numbers out: COCO's protocol, scored by pycocotools and, where it is often, by its twin."""

from anchorloc.metrics.bootstrap import Bootstrap, Interval, bootstrap, image_weights
from anchorloc.metrics.evaluation import ClassMetrics, Evaluation, evaluate, match_targets
from anchorloc.metrics.localization import IOU_THRESHOLDS as LOCALIZATION_IOUS
from anchorloc.metrics.localization import Localization, localize
from anchorloc.metrics.matching import AREAS, IOU_THRESHOLDS, Outcomes
from anchorloc.metrics.operating_point import OperatingPoint, best_f1
from anchorloc.metrics.pycocotools_scorer import Scores, score
from anchorloc.metrics.summary import Summary, summarize
from anchorloc.metrics.weighted_ap import RECALLS, Curves, weighted_curves

__all__ = [
    "AREAS",
    "IOU_THRESHOLDS",
    "LOCALIZATION_IOUS",
    "RECALLS",
    "Bootstrap",
    "ClassMetrics",
    "Curves",
    "Evaluation",
    "Interval",
    "Localization",
    "OperatingPoint",
    "Outcomes",
    "Scores",
    "Summary",
    "best_f1",
    "bootstrap",
    "evaluate",
    "image_weights",
    "localize",
    "match_targets",
    "score",
    "summarize",
    "weighted_curves",
]
