"""The key figures of an inspection and the names of miss causes, for every form of report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from anchorloc.config import Config
from anchorloc.lab.anchor_coverage import AnchorCoverage, BoxStatus
from anchorloc.lab.inspection import Inspection
from anchorloc.lab.miss_causes import MissCause
from anchorloc.text import counted, first_few, percent, shorten

CAUSES = {
    MissCause.UNUSABLE: ("zero size or outside", "annotated with zero size or outside the image, so not trained on"),
    MissCause.NO_ANCHOR: ("no anchor", "no anchor is assigned to it, even if it is alone in its image"),
    MissCause.COLLISION: ("collision", "other boxes have all its anchors"),
    MissCause.CODER: ("coder limit", "longer than the coder can decode from its anchors"),
    MissCause.SUPPRESSED: ("suppressed", "non-maximum suppression keeps a neighbor of its class instead"),
    MissCause.LIMIT: ("detection limit", "beyond the top-k of a level or the detection limit of an image"),
    MissCause.BORDER: ("over the border", "reaches out of the image, where detections are clipped"),
    MissCause.ROUNDING: ("rounding", "found, but not at IoU 0.95"),
}
STATUS_LABELS = {BoxStatus.ASSIGNED: "assigned", BoxStatus.COLLISION: "collision", BoxStatus.NO_ANCHOR: "no anchor"}
MAX_SHAPES = 3  # shapes per level, in a line
CEILING_NOTE = "Oracle AP (IoU 0.50-0.95, 101 recall points): an upper bound, not a forecast."


def anchors_line(config: Config) -> str:
    """Return the anchors and the assigner in a line."""
    anchors = config.anchors
    strides = " ".join(f"{stride:g}" for stride in anchors.strides)
    shapes = " ".join(map(str, anchors.shapes_per_level))
    return f"strides {strides} · shapes per cell {shapes} · {type(config.assign).__name__}"


def passes_line(one: Inspection) -> str:
    """Return how the images of a split were seen."""
    epochs, seen, images = one.views.epochs, len(one.views.indices), len(one.views.source)
    passes = counted(epochs, "augmented pass", "augmented passes") if epochs else "without augmentation"
    return passes if seen == images else f"{passes}, on {seen:,} of {images:,} images spread evenly"


def shapes_line(coverage: AnchorCoverage) -> str:
    """Return the first shapes of every level in a line."""
    return "; ".join(
        f"stride {level.stride:g}: "
        + first_few([f"{width:.4g} x {height:.4g}" for width, height in level.sizes], MAX_SHAPES)
        for level in coverage.levels
    )


def split_prefix(inspections: Sequence[Inspection], one: Inspection) -> str:
    """Return the name of a split to print before its findings, and "" if it is the only one."""
    return f"{shorten(one.name, 24)}: " if len(inspections) > 1 else ""


@dataclass(frozen=True)
class KeyFigure:
    """One number of an inspection."""

    key: str  # key in JSON
    label: str
    value: float | None
    kind: str  # "count", "share", "score" or "mean"
    description: str

    @property
    def text(self) -> str:
        """Return the value as it is printed."""
        if self.value is None:
            return "n/a"
        forms = {"count": "{:,.0f}", "score": "{:.3f}", "mean": "{:,.1f}"}
        return percent(self.value) if self.kind == "share" else forms[self.kind].format(self.value)


def key_figures(one: Inspection) -> list[KeyFigure]:
    """Return the numbers of one split that every report shows first."""
    found, boxes = one.coverage, one.coverage.boxes
    collisions, no_anchor = found.count(BoxStatus.COLLISION), found.count(BoxStatus.NO_ANCHOR)
    positives, ignored = found.positives / max(1, len(boxes)), found.ignored / max(1, found.images)
    return [
        KeyFigure("boxes", "boxes", len(boxes), "count", "boxes used for training, without crowds"),
        KeyFigure("assigned", "assigned", found.assigned, "share", "boxes with a positive anchor"),
        KeyFigure("no_anchor", "no anchor", no_anchor, "count", "boxes that no anchor matches"),
        KeyFigure("collisions", "collisions", collisions, "count", "boxes whose anchors go to other boxes"),
        KeyFigure("recall50", "IoU >= 0.5", found.recall50, "share", "boxes with their own anchor, IoU >= 0.5"),
        KeyFigure("recall50_90", "mean recall", found.mean_recall, "score", "with own anchor, mean over IoU 0.5-0.9"),
        KeyFigure("positives", "anchors per box", positives, "mean", "positive anchors"),
        KeyFigure("anchors", "anchors per image", found.anchors_per_image, "count", "mean, at the padded size"),
        KeyFigure("ignored", "ignored per image", ignored, "mean", "anchors that the loss ignores"),
        *_ceiling_figures(one),
    ]


def _ceiling_figures(one: Inspection) -> list[KeyFigure]:
    if one.ceiling is None:
        return []
    perfect, anchors_only = one.ceiling.perfect.summary, one.ceiling.anchors_only.summary
    return [
        KeyFigure("ceiling_ap", "oracle AP", perfect.ap, "score", "every class and box predicted perfectly"),
        KeyFigure("anchors_only_ap", "anchors-only AP", anchors_only.ap, "score", "perfect classes, no box regression"),
        KeyFigure(
            "anchors_only_ap50",
            "anchors-only AP50",
            anchors_only.ap50,
            "score",
            "no box regression, at IoU 0.50",
        ),
    ]
