"""Say in plain words what a run has reached, and what to try next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

POOR_AP50 = 0.1  # below it, labels or images are likelier to be wrong than settings
RISE = 0.01  # AP: a smaller change in the last quarter of a run is noise
LAST_PART = 0.75  # fraction of the steps, from which the end is judged


def outcome_sentence(history: Sequence[Mapping[str, Any]], data: str) -> str:
    """Return one or two sentences on a finished run.

    Args:
        history: the lines of its log.
        data: what `anchorloc doctor` takes to check its data; "" if there is nothing to check.
    """
    scores = [(row["step"], row["val/AP"], row["val/AP50"]) for row in history if "val/AP" in row]
    if not scores:
        return ""
    step, ap, ap50 = scores[-1]
    best_step, best, _ = max(scores, key=lambda one: (one[1], one[0]))
    if max(score[2] for score in scores) < POOR_AP50:
        check = f"; check with `anchorloc doctor {data}`, and" if data else ", and"
        return (
            f"Next to nothing was learned: AP50 is {ap50:.3f} after {step:,} steps. Labels may not fit the "
            f"images{check} see whether the loss falls."
        )
    earlier = [one[1] for one in scores if one[0] <= LAST_PART * step]
    if best - ap > RISE:
        return (
            f"AP reached {best:.3f} at step {best_step:,}, which best.pt holds, and fell to {ap:.3f}: train less long."
        )
    if earlier and ap - earlier[-1] > RISE:
        return f"AP was still rising, from {earlier[-1]:.3f} to {ap:.3f} in the last part of the run: train longer."
    if earlier:
        return f"AP has leveled off at {ap:.3f}: larger images, more images or a larger network may raise it."
    return f"AP is {ap:.3f} after {step:,} steps, with too few validations to see whether it was still rising."
