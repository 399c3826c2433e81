"""The score threshold that a run keeps."""

from __future__ import annotations

from typing import Any

from anchorloc.engine.state.score_threshold import ROUNDING, ScoreThreshold, find_threshold
from anchorloc.metrics import evaluate
from anchorloc.structures import Category
from tests.metrics.evaluation_cases import found, target

BOX, FAR, OTHER = [0.0, 0, 10, 10], [50.0, 50, 60, 60], [20.0, 20, 30, 30]
CROWD = [70.0, 70, 90, 90]
CELL = [Category(1, "cell")]


def kept(score: float, *others: Any) -> ScoreThreshold:
    return ScoreThreshold(score - ROUNDING, *others)


def test_the_threshold_of_a_precision_has_the_greatest_recall() -> None:
    truth = [target([BOX, FAR, CROWD], crowd=[False, False, True]), target([OTHER])]
    some = [
        found(1, [CROWD, BOX, [30, 0, 40, 10], FAR], [0.95, 0.9, 0.8, 0.7]),  # the crowd box is ignored
        found(2, [BOX, OTHER], [0.75, 0.3]),
    ]
    evaluation = evaluate(truth, some, CELL)
    where = "over all classes at IoU 0.5 on val, 2 images, at step 1,500"
    precise = "greatest recall at precision"
    assert find_threshold(evaluation, some, 0.9, 1500) == kept(0.9, 1.0, 1 / 3, 0.5, f"{precise} 0.9 {where}")
    assert find_threshold(evaluation, some, 0.5, 1500) == kept(0.3, 0.6, 1.0, 0.75, f"{precise} 0.5 {where}")
    assert find_threshold(evaluation, some, 0.0, 1500) == kept(0.3, 0.6, 1.0, 0.75, f"best F1 {where}")
    nothing = [found(1, [[0, 90, 9, 99]], [0.9]), found(2, [], [])]
    assert find_threshold(evaluate(truth, nothing, CELL), nothing, 0.5, 1500) is None
    late = [found(1, [], []), found(2, [BOX, OTHER], [0.75, 0.3])]
    best = find_threshold(evaluate(truth, late, CELL), late, 0.9, 1500)
    assert best == kept(0.3, 0.5, 1 / 3, 0.4, f"best F1 (no threshold reaches precision 0.9) {where}")


def test_rounding_drops_no_detection_and_adds_none() -> None:
    """The threshold is the score of a true positive, which another batch size computes to 1e-6."""
    truth = [target([BOX, OTHER])]
    for lower in (0.89999, 0.5):
        some = [found(1, [BOX, FAR], [0.9, lower])]
        best = find_threshold(evaluate(truth, some, CELL), some, 0.0, 1)
        assert best is not None
        assert lower < best.score < 0.9 - 4e-6
