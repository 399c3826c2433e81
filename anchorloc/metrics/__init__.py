"""Score detections against ground truth by COCO's protocol, with pycocotools or its faster twin."""

from anchorloc.metrics.coco_evaluation import ClassMetrics, Evaluation, Scorer, evaluate, match_targets
from anchorloc.metrics.localization_scores import LOCALIZATION_IOUS, Localization, localize
from anchorloc.metrics.match_kernels import FALSE_POSITIVE, IGNORED, TRUE_POSITIVE
from anchorloc.metrics.matching import AREAS, MatchResult
from anchorloc.metrics.operating_point import OperatingPoint, best_f1
from anchorloc.metrics.protocol import IOU_THRESHOLDS, Protocol
from anchorloc.metrics.resampling import Bootstrap, Interval, bootstrap, image_weights
from anchorloc.metrics.scores import Scores, mean_of_known
from anchorloc.metrics.summary import CocoSummary, summarize
from anchorloc.metrics.weighted_ap import (
    RECALLS,
    PrecisionRecall,
    WeightedScores,
    weighted_curves,
    weighted_scores,
)

__all__ = [
    "AREAS",
    "FALSE_POSITIVE",
    "IGNORED",
    "IOU_THRESHOLDS",
    "LOCALIZATION_IOUS",
    "RECALLS",
    "TRUE_POSITIVE",
    "Bootstrap",
    "ClassMetrics",
    "CocoSummary",
    "Evaluation",
    "Interval",
    "Localization",
    "MatchResult",
    "OperatingPoint",
    "PrecisionRecall",
    "Protocol",
    "Scorer",
    "Scores",
    "WeightedScores",
    "best_f1",
    "bootstrap",
    "evaluate",
    "image_weights",
    "localize",
    "match_targets",
    "mean_of_known",
    "summarize",
    "weighted_curves",
    "weighted_scores",
]
