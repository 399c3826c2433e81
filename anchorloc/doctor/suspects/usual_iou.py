"""The IoU that labels usually have with the detections that find them, by size and score."""

from __future__ import annotations

import numpy as np

from anchorloc.structures import Float64Array

PASSES = 6  # the weights change little after 3
OUTLIER = 1.5  # standard deviations from which a residual loses weight (Huber)
FLOOR = 0.02  # IoU: residuals below it count alike in the spread


def usual_iou(
    iou: Float64Array, sides: Float64Array, logits: Float64Array, weights: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """Return the expected IoU and its spread (standard deviation) for each of N labels, (N,) each.

    Both are linear in the logarithm of the detection's side and the logit of its score; the spread is so in its
    logarithm. The fit is robust: labels far from it, as loose ones are, count less.

    Args:
        iou: of each label with its detection.
        sides: the root of the detection's area, in px.
        logits: of the detection's score.
        weights: how far each detection is believed.
    """
    log_sides = np.log(sides)
    columns = np.column_stack([np.ones(len(iou)), log_sides - log_sides.mean(), logits - logits.mean()])
    robust = weights
    for _ in range(PASSES):
        weighted = columns * robust[:, None]
        expected = columns @ np.linalg.solve(weighted.T @ columns + 0.1 * np.eye(3), weighted.T @ iou)
        residual = np.abs(iou - expected)
        deviation = 1.4826 * float(np.median(residual)) + 1e-9
        robust = weights * np.minimum(1, OUTLIER * deviation / np.maximum(residual, 1e-9))
    logarithm = np.log(residual + FLOOR)
    spread = columns @ np.linalg.solve(columns.T @ columns + np.eye(3), columns.T @ logarithm)
    return np.asarray(expected), np.asarray(1.25 * np.exp(spread))  # 1.25: from mean absolute to standard deviation
