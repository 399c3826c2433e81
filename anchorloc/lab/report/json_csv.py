"""Write an inspection as JSON and CSV."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from anchorloc import __version__
from anchorloc.config import to_plain
from anchorloc.lab.anchor_coverage import CURVE_IOUS, BoxStatus
from anchorloc.lab.groups import cross_tabulate, group_coverages, groupings, size_by_level
from anchorloc.lab.inspection import Inspection
from anchorloc.lab.miss_causes import MissCause
from anchorloc.lab.report.key_figures import CAUSES, STATUS_LABELS, key_figures
from anchorloc.report.captions import AP_MEANING
from anchorloc.report.csv import write_csv

PACKAGES = ("numpy", "numba", "torch", "torchvision", "pycocotools")
BOX_HEADER = (
    *("split", "pass", "file", "annotation", "class", "width", "height", "best IoU", "best level"),
    *("positives", "level", "status", "missed by a perfect network", "neighbor IoU", "cut by the border"),
)


def report_json(inspections: Sequence[Inspection], facts: Mapping[str, object]) -> dict[str, Any]:
    """Return the content of `report.json`."""
    config = inspections[0].coverage.config
    return {
        "anchors": to_plain(config.anchors),
        "assign": {"kind": type(config.assign).__name__, **to_plain(config.assign)},
        "config": to_plain(config),
        "versions": versions(),
        "meanings": {
            "AP": AP_MEANING,
            **{figure.key: figure.description for one in inspections for figure in key_figures(one)},
        },
        "splits": {one.name: _split_json(one) for one in inspections},
        "facts": {key: value if isinstance(value, int | float | str) else str(value) for key, value in facts.items()},
    }


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that numbers may depend on."""
    return {"python": platform.python_version(), "anchorloc": __version__, **{name: version(name) for name in PACKAGES}}


def _split_json(one: Inspection) -> dict[str, Any]:
    found = one.coverage
    return {
        "images": found.images,
        "images_in_split": len(one.views.source),
        "passes": max(1, one.views.epochs),
        "augmented": one.views.epochs > 0,
        "numbers": {figure.key: figure.value for figure in key_figures(one)},
        "crowd_boxes": found.crowds,
        "boxes_of_zero_size_or_outside": found.unusable,
        "boxes_removed_by_augmentation": found.cropped_out,
        "recall": {
            "iou": list(CURVE_IOUS),
            "without_rescue": list(found.recall),
            "with_rescue": list(found.rescued_recall),
        },
        "groups": {g.name: [asdict(row) for row in group_coverages(found.boxes, g)] for g in groupings(found)},
        "size_by_level": size_by_level(found).tolist(),
        "positives_per_shape": [level.tolist() for level in found.positives_per_shape],
        "ceiling": _ceiling_json(one),
        "findings": [asdict(finding) for finding in one.findings],
    }


def _ceiling_json(one: Inspection) -> dict[str, Any] | None:
    limit = one.ceiling
    if limit is None:
        return None
    return {
        "perfect": limit.perfect.summary.named(),
        "anchors_only": limit.anchors_only.summary.named(),
        "found": limit.found,
        "missed": {CAUSES[cause][0]: limit.count(cause) for cause in MissCause},
    }


def write_csv_files(folder: Path, inspections: Sequence[Inspection]) -> None:
    """Write boxes.csv (every box), shares.csv (size x level x class x aspect ratio), shapes.csv and recall.csv.

    Raises:
        InputError: the file system refuses.
    """
    write_csv(folder / "boxes.csv", BOX_HEADER, (row for one in inspections for row in box_rows(one)))
    write_csv(
        folder / "shares.csv",
        ("split", "size", "level", "class", "height/width", "boxes", "assigned"),
        (row for one in inspections for row in _share_rows(one)),
    )
    write_csv(
        folder / "shapes.csv",
        ("split", "level", "stride", "width", "height", "positives", "share of positives"),
        ((one.name, *row) for one in inspections for row in one.coverage.shape_rows()),
    )
    write_csv(
        folder / "recall.csv",
        ("split", "IoU", "without rescue", "with rescue"),
        ((one.name, *row) for one in inspections for row in _recall_rows(one)),
    )


def box_rows(one: Inspection, status: BoxStatus | None = None) -> Iterator[tuple[object, ...]]:
    """Yield the boxes of a split (with one status, if given) under BOX_HEADER; sizes are in network pixels."""
    boxes, source, limit = one.coverage.boxes, one.views.source, one.ceiling
    causes = {} if limit is None else dict(zip(limit.rows.tolist(), limit.causes.tolist(), strict=True))
    chosen = range(len(boxes)) if status is None else (boxes.status == status).nonzero()[0].tolist()
    for n in chosen:
        row, cause = int(boxes.rows[n]), causes.get(int(boxes.rows[n]))
        yield (
            *(one.name, int(boxes.epochs[n]), source.name(int(boxes.images[n])), source.annotation_id(row)),
            source.categories[boxes.labels[n]].shown_name,
            *boxes.sizes[n].tolist(),
            *(float(boxes.best_iou[n]), int(boxes.best_level[n]), int(boxes.positives[n]), int(boxes.level[n])),
            STATUS_LABELS[BoxStatus(boxes.status[n])],
            None if cause is None else CAUSES[MissCause(cause)][0],
            float(boxes.neighbor_iou[n]),
            "yes" if boxes.cut[n] else "",
        )


def _share_rows(one: Inspection) -> Iterator[tuple[object, ...]]:
    size, aspect, label, level, *_ = groupings(one.coverage)
    for labels, boxes, assigned in cross_tabulate(one.coverage.boxes, (size, level, label, aspect)):
        size_label, level_label, *rest = labels
        number = int(level_label.removeprefix("level ")) if level_label.startswith("level ") else -1
        yield one.name, size_label, number, *rest, boxes, assigned / boxes


def _recall_rows(one: Inspection) -> Iterator[tuple[float, ...]]:
    return zip(CURVE_IOUS, one.coverage.recall, one.coverage.rescued_recall, strict=True)
