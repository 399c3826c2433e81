"""Which anchor learns which box."""

from anchorloc.assign.atss import ATSSAssigner
from anchorloc.assign.best import best_anchors
from anchorloc.assign.max_iou import MaxIoUAssigner

__all__ = ["ATSSAssigner", "MaxIoUAssigner", "best_anchors"]
