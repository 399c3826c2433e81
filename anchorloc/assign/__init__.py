"""Assign anchors to boxes: which anchors learn which box, and which have no loss. It works on NumPy arrays."""

from anchorloc.assign.anchors_inside import centers_inside
from anchorloc.assign.assigner_protocol import AssignerProtocol
from anchorloc.assign.atss import ATSSAssigner
from anchorloc.assign.max_iou import MaxIoUAssigner, best_anchors
from anchorloc.assign.single_object import SingleObjectAssigner

Assigner = MaxIoUAssigner | ATSSAssigner | AssignerProtocol  # the kinds that look at anchors and boxes alone

__all__ = ["ATSSAssigner", "Assigner", "MaxIoUAssigner", "SingleObjectAssigner", "best_anchors", "centers_inside"]
