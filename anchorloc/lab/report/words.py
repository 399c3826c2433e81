"""The numbers of an inspection by name, for every kind of output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from anchorloc.config import Config
from anchorloc.lab.anchor_coverage import Fate, Survey
from anchorloc.lab.inspection import Inspection
from anchorloc.lab.miss_causes import Cause
from anchorloc.text import percent, shorten

CAUSES = {
    Cause.UNUSABLE: ("zero size or outside", "annotated with zero size or outside the image: not trained on"),
    Cause.NO_ANCHOR: ("no anchor", "no anchor would learn it even if it were alone"),
    Cause.COLLISION: ("collision", "other boxes have all of its anchors"),
    Cause.CODER: ("coder limit", "longer than the coder can make its anchors"),
    Cause.SUPPRESSED: ("suppressed", "a neighbor of its class took it away in non-maximum suppression"),
    Cause.LIMIT: ("detection limit", "past the candidates of a level or the detections of an image"),
    Cause.BORDER: ("over the border", "reaches out of the image, where no detection can"),
    Cause.ROUNDING: ("rounding", "found, but not at IoU 0.95"),
}
MOST_SHAPES = 3  # of a level, in a line
LIMIT_SENTENCE = "The ceiling is a limit, never a forecast: no training can pass or need reach it."


def anchors_line(config: Config) -> str:
    """Return the anchors and the assigner in a line."""
    anchors = config.anchors
    strides = " ".join(f"{stride:g}" for stride in anchors.strides)
    shapes = " ".join(map(str, anchors.shapes_per_level))
    return f"strides {strides} · shapes a cell {shapes} · {type(config.initial_assigner).__name__}"


def passes(one: Inspection) -> str:
    """How the boxes of a split were met."""
    epochs = one.views.epochs
    return f"{epochs} augmented pass{'es' * (epochs > 1)}" if epochs else "as in evaluation"


def shapes_line(found: Survey) -> str:
    """Return the first shapes of every level."""
    return "; ".join(f"stride {level.stride:g}: {_some_shapes(level.sizes)}" for level in found.levels)


def _some_shapes(sizes: tuple[tuple[float, float], ...]) -> str:
    more = f" and {len(sizes) - MOST_SHAPES} more" if len(sizes) > MOST_SHAPES else ""
    return ", ".join(f"{width:.4g} x {height:.4g}" for width, height in sizes[:MOST_SHAPES]) + more


def split_words(inspections: Sequence[Inspection], one: Inspection) -> str:
    """The split that a finding is of, to stand before it where there are several."""
    return f"{shorten(one.name, 24)}: " if len(inspections) > 1 else ""


@dataclass(frozen=True)
class Number:
    """One number of an inspection."""

    key: str  # in JSON
    label: str
    value: float | None
    kind: str  # "count", "share", "score" or "mean"
    meaning: str

    @property
    def text(self) -> str:
        """For people."""
        if self.value is None:
            return "n/a"
        forms = {"count": "{:,.0f}", "score": "{:.3f}", "mean": "{:,.1f}"}
        return percent(self.value) if self.kind == "share" else forms[self.kind].format(self.value)


def numbers(one: Inspection) -> list[Number]:
    """Return the numbers of one split that stand at the top of every report."""
    found, boxes = one.survey, one.survey.boxes
    images = max(1, found.images)
    return [
        Number("boxes", "boxes", len(boxes), "count", "to be learned; crowd boxes aside"),
        Number("assigned", "with an anchor", found.assigned, "share", "boxes that some anchor learns"),
        Number("no_anchor", "no anchor", found.count(Fate.NO_ANCHOR), "count", "no anchor learns them, even alone"),
        Number("collisions", "collisions", found.count(Fate.COLLISION), "count", "others have all of their anchors"),
        Number("recall50", "IoU >= 0.5", found.recall50, "share", "boxes whose own anchor overlaps so much"),
        Number("recall50_90", "mean recall", found.mean_recall, "score", "the same, mean over IoU 0.50 to 0.90"),
        Number(
            "positives",
            "anchors a box",
            found.positives / max(1, len(boxes)),
            "mean",
            "that learn it, on average",
        ),
        Number("anchors", "anchors an image", found.anchors / images, "count", "on average, at the padded size"),
        Number("ignored", "ignored an image", found.ignored / images, "mean", "anchors that learn nothing"),
        *_ceiling_numbers(one),
    ]


def _ceiling_numbers(one: Inspection) -> list[Number]:
    if one.ceiling is None:
        return []
    perfect, unmoved = one.ceiling.perfect.summary, one.ceiling.unmoved.summary
    return [
        Number("ceiling_ap", "ceiling AP", perfect.ap, "score", "a perfect network, the real decoder"),
        Number("unmoved_ap", "AP unmoved", unmoved.ap, "score", "perfect classes on unmoved anchors"),
        Number("unmoved_ap50", "AP50 unmoved", unmoved.ap50, "score", "the same at IoU 0.50"),
    ]
