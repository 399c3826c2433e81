"""Detections and truth in, numbers out: COCO's protocol, scored by pycocotools."""

from anchorloc.metrics.evaluation import ClassMetrics, Evaluation, evaluate
from anchorloc.metrics.localization import IOU_THRESHOLDS as LOCALIZATION_IOUS
from anchorloc.metrics.localization import Localization, localize
from anchorloc.metrics.operating_point import OperatingPoint, best_f1
from anchorloc.metrics.scorer import AREAS, IOU_THRESHOLDS, RECALLS, Scores, score
from anchorloc.metrics.summary import Summary, summarize

__all__ = [
    "AREAS",
    "IOU_THRESHOLDS",
    "LOCALIZATION_IOUS",
    "RECALLS",
    "ClassMetrics",
    "Evaluation",
    "Localization",
    "OperatingPoint",
    "Scores",
    "Summary",
    "best_f1",
    "evaluate",
    "localize",
    "score",
    "summarize",
]
