"""An inspection as JSON and CSV, for programs."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from anchorloc import __version__
from anchorloc.config import to_plain
from anchorloc.lab.anchor_coverage import CURVE_IOUS, Fate
from anchorloc.lab.groups import crossed, groupings, shares, size_by_level
from anchorloc.lab.inspection import Inspection
from anchorloc.lab.miss_causes import Cause
from anchorloc.lab.report.words import CAUSES, numbers
from anchorloc.report.csv import write_csv


def lab_record(inspections: Sequence[Inspection], facts: Mapping[str, object]) -> dict[str, Any]:
    """Return everything in `report.json`."""
    config = inspections[0].survey.config
    return {
        "anchors": to_plain(config.anchors),
        "assign": {"kind": type(config.initial_assigner).__name__, **to_plain(config.initial_assigner)},
        "config": to_plain(config),
        "versions": versions(),
        "splits": {one.name: _split(one) for one in inspections},
        "facts": {key: value if isinstance(value, int | float | str) else str(value) for key, value in facts.items()},
    }


def versions() -> dict[str, str]:
    """What numbers may depend on."""
    return {"python": platform.python_version(), "anchorloc": __version__, **{name: version(name) for name in PACKAGES}}


def _split(one: Inspection) -> dict[str, Any]:
    found, limit = one.survey, one.ceiling
    levels = len(found.work)
    divisions = groupings(found.boxes, one.views.source.categories, levels)
    return {
        "images": found.images,
        "passes": max(1, one.views.epochs),
        "augmented": one.views.epochs > 0,
        "numbers": {number.key: number.value for number in numbers(one)},
        "crowd_boxes": found.crowds,
        "boxes_of_zero_size_or_outside": found.unusable,
        "boxes_cut_by_augmentation": found.cut,
        "recall": {
            "iou": list(CURVE_IOUS),
            "without_rescue": list(found.recall),
            "with_rescue": list(found.rescued_recall),
        },
        "groups": {g.name: [asdict(row) for row in shares(found.boxes, g)] for g in divisions},
        "size_by_level": size_by_level(found.boxes, levels).tolist(),
        "work": [level.tolist() for level in found.work],
        "ceiling": None
        if limit is None
        else {
            "perfect": limit.perfect.summary.named(),
            "unmoved": limit.unmoved.summary.named(),
            "found": limit.found,
            "lost": {CAUSES[cause][0]: limit.count(cause) for cause in Cause},
        },
        "findings": [asdict(finding) for finding in one.findings],
    }


def write_tables(folder: Path, inspections: Sequence[Inspection]) -> None:
    """Write boxes.csv (every box), shares.csv (size × level × class × aspect), shapes.csv and recall.csv.

    Raises:
        InputError: the file system refuses.
    """
    write_csv(folder / "boxes.csv", BOX_HEADER, (row for one in inspections for row in box_rows(one)))
    write_csv(
        folder / "shares.csv",
        ("split", "size", "level", "class", "height/width", "boxes", "with an anchor"),
        (row for one in inspections for row in _share_rows(one)),
    )
    write_csv(
        folder / "shapes.csv",
        ("split", "level", "stride", "width", "height", "positives", "share of the work"),
        (row for one in inspections for row in _shape_rows(one)),
    )
    write_csv(
        folder / "recall.csv",
        ("split", "IoU", "without rescue", "with rescue"),
        ((one.name, *row) for one in inspections for row in _recall_rows(one)),
    )


PACKAGES = ("numpy", "numba", "torch", "torchvision", "pycocotools")
BOX_HEADER = (
    *("split", "pass", "file", "annotation", "class", "width", "height", "best IoU", "best level"),
    *("positives", "level", "fate", "lost by a perfect network"),
)
FATES = {Fate.LEARNED: "learned", Fate.COLLISION: "collision", Fate.NO_ANCHOR: "no anchor"}


def box_rows(one: Inspection, fate: Fate | None = None) -> Iterator[tuple[object, ...]]:
    """Yield the boxes of a split, or those of one fate, under BOX_HEADER; sizes are in network pixels."""
    boxes, source = one.survey.boxes, one.views.source
    limit = one.ceiling
    causes = {} if limit is None else dict(zip(limit.rows.tolist(), limit.causes.tolist(), strict=True))
    chosen = range(len(boxes)) if fate is None else (boxes.fate == fate).nonzero()[0].tolist()
    for n in chosen:
        row, cause = int(boxes.rows[n]), causes.get(int(boxes.rows[n]))
        yield (
            *(one.name, int(boxes.epochs[n]), source.name(int(boxes.images[n])), source.annotation_id(row)),
            source.categories[boxes.labels[n]].name,
            *boxes.sizes[n].tolist(),
            *(float(boxes.best_iou[n]), int(boxes.best_level[n]), int(boxes.positives[n]), int(boxes.level[n])),
            FATES[Fate(boxes.fate[n])],
            None if cause is None else CAUSES[Cause(cause)][0],
        )


def _share_rows(one: Inspection) -> Iterator[tuple[object, ...]]:
    found = one.survey
    size, aspect, label, level = groupings(found.boxes, one.views.source.categories, len(found.work))
    for labels, boxes, learned in crossed(found.boxes, (size, level, label, aspect)):
        size_label, level_label, *rest = labels
        number = int(level_label.removeprefix("level ")) if level_label.startswith("level ") else -1
        yield one.name, size_label, number, *rest, boxes, learned / boxes


def _shape_rows(one: Inspection) -> Iterator[tuple[object, ...]]:
    found = one.survey
    for level, (shapes, counts) in enumerate(zip(found.levels, found.work, strict=True)):
        for (width, height), count in zip(shapes.sizes, counts.tolist(), strict=True):
            yield one.name, level, shapes.stride, width, height, count, count / max(1, found.positives)


def _recall_rows(one: Inspection) -> Iterator[tuple[float, ...]]:
    return zip(CURVE_IOUS, one.survey.recall, one.survey.rescued_recall, strict=True)
