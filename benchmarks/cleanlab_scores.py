"""The box scores of cleanlab's ObjectLab (arXiv:2309.00832) as rankings of suspects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from anchorloc.data import Annotations
from anchorloc.structures import Detections
from benchmarks.label_damage import RankedItem

LEAST_SCORE = 0.05  # cleanlab compares every pair in Python, and looks at no score under 0.5
DEFAULT_THRESHOLDS = 0.5, 0.95  # least scores for loose boxes, and for the other two kinds
KINDS = {"wrong-class": "swap", "missing-box": "overlooked", "loose-box": "badloc"}  # it has no doubled boxes


def import_rank() -> Any:
    """Return cleanlab's module of box scores.

    Raises:
        ImportError: it is not installed.
    """
    from cleanlab.object_detection import rank

    return rank


def rankings(
    truth: Annotations, detections: Sequence[Detections], thresholds: tuple[float, float] = DEFAULT_THRESHOLDS
) -> dict[str, list[RankedItem]]:
    """Return the items of each kind of KINDS, from the lowest score on, as cleanlab sorts.

    Args:
        truth: the labels.
        detections: of each image.
        thresholds: least scores of the detections that it looks at, for loose boxes and for the other two kinds.
    """
    rank, low, high = import_rank(), *thresholds
    targets = [truth.training_target(index) for index in range(len(truth))]
    targets = [target.take(np.flatnonzero(~target.crowd)) for target in targets]
    found = [one.take(np.flatnonzero(one.scores >= LEAST_SCORE)) for one in detections]
    labels = [{"bboxes": target.boxes, "labels": target.labels} for target in targets]
    predictions = [_by_class(one, len(truth.categories)) for one in found]
    auxiliary = rank._get_valid_inputs_for_compute_scores(0.9, labels, predictions)  # compared once for all kinds
    swap = rank.compute_swap_box_scores(auxiliary_inputs=auxiliary, high_probability_threshold=high)
    badloc = rank.compute_badloc_box_scores(auxiliary_inputs=auxiliary, low_probability_threshold=low)
    overlooked = rank.compute_overlooked_box_scores(auxiliary_inputs=auxiliary, high_probability_threshold=high)
    items: dict[str, list[tuple[float, RankedItem]]] = {kind: [] for kind in KINDS}
    for index, target in enumerate(targets):
        image_id: Any = truth.image_id(index)
        for place, row in enumerate(target.rows.tolist()):
            annotation: Any = truth.annotation_id(row)
            item = RankedItem(image_id, (annotation,))
            items["wrong-class"].append((float(swap[index][place]), item))
            items["loose-box"].append((float(badloc[index][place]), item))
        for score, box in zip(overlooked[index].tolist(), auxiliary[index]["pred_bboxes"].tolist(), strict=True):
            if score == score:  # it leaves out detections below its threshold as NaN
                items["missing-box"].append((score, RankedItem(image_id, (), tuple(box))))
    return {kind: [item for _, item in sorted(some, key=lambda pair: pair[0])] for kind, some in items.items()}


def _by_class(found: Detections, classes: int) -> Any:
    """Return an array (classes,) of the boxes and scores (N, 5) of each class, as MMDetection gives them."""
    table = np.column_stack([found.boxes, found.scores])
    parts = np.empty(classes, object)
    for label in range(classes):
        parts[label] = table[found.labels == label]
    return parts
