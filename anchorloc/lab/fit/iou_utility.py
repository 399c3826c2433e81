"""What an IoU is worth: the share of thresholds that it passes."""

from __future__ import annotations

import numpy as np

from anchorloc.assign import ATSSAssigner, MaxIoUAssigner
from anchorloc.lab.anchor_coverage import RECALL_IOUS
from anchorloc.lab.fit.box_offsets import Float32Array

STEP = 0.05  # a threshold is passed little by little over so much IoU: few boxes then say as much as many
SLOPE = 0.05  # a box under all thresholds still prefers the nearer shape
FINENESS = 2000  # steps of the curve


def curve_of(assigner: MaxIoUAssigner | ATSSAssigner) -> Float32Array:
    """Return what IoU from 0 to 1 is worth, in equal steps.

    It rises with the share of RECALL_IOUS that are passed. The threshold of a max-IoU assigner is one of them, also
    where it lies outside their range.
    """
    thresholds = set(RECALL_IOUS)
    if isinstance(assigner, MaxIoUAssigner):
        thresholds.add(assigner.positive_iou)
    iou = np.linspace(0, 1, FINENESS + 1)
    ramps = [np.clip((iou - threshold) / STEP + 0.5, 0, 1) for threshold in thresholds]
    return np.asarray(np.mean(ramps, axis=0) + SLOPE * iou, np.float32)
