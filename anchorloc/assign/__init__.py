"""Assign anchors to boxes."""

from anchorloc.assign.atss import ATSSAssigner
from anchorloc.assign.centers import centers_inside
from anchorloc.assign.max_iou import MaxIoUAssigner, best_anchors
from anchorloc.assign.single_object import SingleObjectAssigner

__all__ = ["ATSSAssigner", "MaxIoUAssigner", "SingleObjectAssigner", "best_anchors", "centers_inside"]
