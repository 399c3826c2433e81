"""The score threshold that a run finds on its val split, and keeps in its checkpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import pydantic
from typing_extensions import TypedDict

from anchorloc.structures import Detections
from anchorloc.text import counted

if TYPE_CHECKING:
    from anchorloc.metrics import Evaluation

ROUNDING = 1e-4  # by which a score may differ in another batch, on another machine or in an exported file
Fraction = Annotated[float, pydantic.Field(ge=0, le=1)]


class ThresholdEntry(TypedDict):
    """A `ScoreThreshold` in a file."""

    score: Fraction
    precision: Fraction
    recall: Fraction
    f1: Fraction
    found: str


@dataclass(frozen=True)
class ScoreThreshold:
    """The lowest score of the detections to show, with what it reaches and how it was found."""

    score: float
    precision: float
    recall: float
    f1: float
    found: str  # a clause for people

    def __str__(self) -> str:
        return f"{self.score:.2f} ({self.found}: precision {self.precision:.2f}, recall {self.recall:.2f})"


def find_threshold(
    evaluation: Evaluation, detections: Sequence[Detections], precision: float, step: int
) -> ScoreThreshold | None:
    """Return the threshold of greatest recall that has a `precision` on val, or of best F1 if none has it or it is 0.

    Args:
        evaluation: the scores on the val split.
        detections: what it scored, per image.
        precision: of all classes together at IoU 0.5.
        step: the step of the weights.

    Returns:
        None without a true positive.
    """
    point = evaluation.at_precision(detections, precision) if precision else None
    what = f"greatest recall at precision {precision:g}"
    if point is None:
        point = evaluation.operating_point
        what = "best F1" if not precision else f"best F1 (no threshold reaches precision {precision:g})"
    if point is None:
        return None
    found = f"{what} over all classes at IoU 0.5 on val, {counted(evaluation.images, 'image')}, at step {step:,}"
    return ScoreThreshold(_just_below(point.threshold, detections), point.precision, point.recall, point.f1, found)


def _just_below(score: float, detections: Sequence[Detections]) -> float:
    """Return a threshold that keeps the same detections, the one of this score also where it is rounded otherwise."""
    lower = max((one.scores[one.scores < score].max(initial=0.0) for one in detections), default=0.0)
    return max(score - ROUNDING, (score + float(lower)) / 2)


def saved_threshold(state: Mapping[str, Any]) -> ScoreThreshold | None:
    """Return the threshold that a checked checkpoint or exported file keeps, if it keeps one."""
    return ScoreThreshold(**state["threshold"]) if state.get("threshold") else None
