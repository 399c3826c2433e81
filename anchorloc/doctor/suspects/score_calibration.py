"""How likely a detection is right, by its score and class, learned from the detections themselves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anchorloc.structures import BoolArray, Float64Array, IntArray

MAX_STEPS = 50  # Newton steps; 5 to 10 are usual
LEAST_SCORE = 1e-4  # scores nearer to 0 or 1 count as this far from it, so that their logits are finite


@dataclass(frozen=True, eq=False)
class ScoreCalibration:
    """A logistic curve over the logit of the score, with an offset for each class."""

    intercept: float
    slope: float
    offsets: Float64Array  # (C,)

    def __call__(self, scores: Float64Array, labels: IntArray) -> Float64Array:
        """Return the probability (N,) that detections of these scores and classes are right."""
        return _sigmoid(self.intercept + self.slope * logit(scores) + self.offsets[labels])


def calibrate(scores: Float64Array, labels: IntArray, right: BoolArray, classes: int) -> ScoreCalibration:
    """Fit the curve to N detections, by the greatest penalized likelihood.

    The penalties are normal priors around the curve on which scores are probabilities already: the slope is 1, all else
    is 0, with a standard deviation of 1, and of 2 for the intercept. So few detections change little, and a class of
    few detections follows the others.

    Args:
        scores: (N,) from 0 to 1.
        labels: (N,) 0..classes-1.
        right: (N,) whether the detection is right.
        classes: their number.
    """
    logits, truth = logit(scores), right.astype(np.float64)
    intercept, slope, offsets = 0.0, 1.0, np.zeros(classes)
    best = -np.inf
    for _ in range(MAX_STEPS):
        predicted = _sigmoid(intercept + slope * logits + offsets[labels])
        weight, rest = predicted * (1 - predicted), truth - predicted
        per_class = [np.bincount(labels, one, classes) for one in (rest, weight, weight * logits)]
        gradient = np.array([rest.sum() - intercept / 4, (rest * logits).sum() - (slope - 1)])
        gradient_of_offsets, curvature = per_class[0] - offsets, per_class[1] + 1
        across = np.stack(per_class[1:])  # (2, C)
        curve = np.array([[weight.sum() + 1 / 4, across[1].sum()], [0, (weight * logits**2).sum() + 1]])
        curve[1, 0] = curve[0, 1]
        reduced = curve - (across / curvature) @ across.T
        step = np.linalg.solve(reduced, gradient - across @ (gradient_of_offsets / curvature))
        step_of_offsets = (gradient_of_offsets - step @ across) / curvature
        size = 1.0
        while True:
            tried = intercept + size * step[0], slope + size * step[1], offsets + size * step_of_offsets
            value = _likelihood(tried[0] + tried[1] * logits + tried[2][labels], truth)
            value -= (tried[0] ** 2 / 4 + (tried[1] - 1) ** 2 + (tried[2] ** 2).sum()) / 2
            if value >= best or size < 1e-3:
                break
            size /= 2
        intercept, slope, offsets = tried
        if value - best < 1e-6:
            break
        best = value
    return ScoreCalibration(float(intercept), max(0.0, float(slope)), offsets)


def _likelihood(values: Float64Array, truth: Float64Array) -> float:
    return float((truth * values - np.logaddexp(0, values)).sum())


def logit(scores: Float64Array) -> Float64Array:
    """Return the logits of scores, which stay finite at 0 and 1."""
    kept = np.clip(scores, LEAST_SCORE, 1 - LEAST_SCORE)
    return np.asarray(np.log(kept / (1 - kept)))


def _sigmoid(values: Float64Array) -> Float64Array:
    return np.asarray(1 / (1 + np.exp(-values)))
