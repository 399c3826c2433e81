"""Suspected label errors of a data set, by kind and from the surest on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from anchorloc.boxes import box_ioa
from anchorloc.data import Annotations
from anchorloc.data.result_warnings import result_warnings
from anchorloc.doctor.suspects.box_pairs import PlacedBoxes
from anchorloc.doctor.suspects.label_matches import SAME_IOU, LabelMatches, match_labels
from anchorloc.doctor.suspects.suspect_scores import (
    NONE,
    RankedSuspects,
    doubled_boxes,
    loose_boxes,
    missing_boxes,
    wrong_classes,
)
from anchorloc.errors import InputError
from anchorloc.metrics.box_tables import DetectionTable, TruthTable, detection_table, truth_table
from anchorloc.structures import BoolArray, Detections, Float64Array, IntArray

KINDS = {  # the plural nouns for the suspects
    "wrong-class": "labels of the wrong class",
    "missing-box": "objects without a label",
    "loose-box": "loose boxes",
    "doubled-box": "objects with two labels",
}
LIKELY = 0.5  # score from which a suspect counts as likely


@dataclass(frozen=True)
class Suspect:
    """One suspected label error."""

    kind: str  # a key of KINDS
    score: float  # how sure, from 0 to 1
    image: int  # index
    label: int  # row in `LabelSuspects.matches.labels`, or NONE where a label is missing
    other: int  # row of the label of the same object, or NONE
    detection: int  # row in `LabelSuspects.matches.detections`, or NONE


@dataclass(frozen=True, eq=False)
class LabelSuspects:
    """The suspects of every kind, and what they come from."""

    truth: Annotations
    matches: LabelMatches
    annotation_rows: IntArray  # (L,) row of each label for `Annotations.annotation_id`
    ranked: Mapping[str, RankedSuspects]  # by kind
    warnings: Sequence[str]

    def of(self, kind: str, most: int | None = None) -> Iterator[Suspect]:
        """Yield the suspects of a kind, the surest first."""
        ranked, matches = self.ranked[kind], self.matches
        columns = (ranked.scores, ranked.labels, ranked.others, ranked.detections)
        for score, label, other, detection in zip(*(column[:most].tolist() for column in columns), strict=True):
            image = matches.labels.images[label] if label != NONE else matches.detections.images[detection]
            yield Suspect(kind, score, int(image), label, other, detection)

    def likely(self, kind: str) -> int:
        """Return how many suspects of a kind have a score of at least LIKELY."""
        return int((self.ranked[kind].scores >= LIKELY).sum())

    def annotation_id(self, label: int) -> int | str:
        """Return the id of the annotation of a label."""
        return self.truth.annotation_id(int(self.annotation_rows[label]))

    def class_of(self, table: PlacedBoxes, row: int) -> str:
        """Return the class name of a label or a detection."""
        return self.truth.categories[int(table.labels[row])].shown_name


def find_suspects(truth: Annotations, detections: Sequence[Detections]) -> LabelSuspects:
    """Rank the labels that contradict detections.

    Crowd boxes are no suspects, and neither are detections of which half or more lies in a crowd box of their class.

    Args:
        truth: the labels.
        detections: of each image, by a model that was not trained on it: else it has learned its errors.

    Raises:
        InputError: there is no label or no detection, or none finds a label of its class.
    """
    targets = [truth.training_target(index) for index in range(len(truth))]
    classes = len(truth.categories)
    annotated, found = truth_table(targets, classes), detection_table(detections, classes)
    labels = PlacedBoxes(annotated.images, annotated.labels, annotated.boxes).take(~annotated.crowd)
    if not len(labels):
        raise InputError("there is no label to compare with the detections; annotate some objects")
    if not len(found.scores):
        raise InputError("there is no detection to compare with the labels; lower the score threshold of the tool")
    kept = _has_area(found.boxes) & ~_in_crowds(found, annotated)
    detected = PlacedBoxes(found.images, found.labels, found.boxes).take(kept)
    matches = match_labels(labels, detected, found.scores[kept], classes)
    if not (matches.same_class & (matches.near.iou >= SAME_IOU)).any():
        signs = [*result_warnings(detections, truth), "no detection overlaps a label of its class by IoU 0.5"]
        raise InputError(f"the detections do not fit the labels: {signs[0]}")
    rows = np.concatenate([target.rows for target in targets])[~annotated.crowd]
    ranked = {
        "wrong-class": wrong_classes(matches),
        "missing-box": missing_boxes(matches),
        "loose-box": loose_boxes(matches),
        "doubled-box": doubled_boxes(matches),
    }
    return LabelSuspects(truth, matches, rows, ranked, result_warnings(detections, truth))


def _has_area(boxes: Float64Array) -> BoolArray:
    return np.asarray((boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]))


def _in_crowds(found: DetectionTable, annotated: TruthTable) -> BoolArray:
    """Return a mask (D,) of the detections of which at least half lies in a crowd box of their class."""
    inside = np.zeros(len(found.scores), np.bool_)
    for crowd in np.flatnonzero(annotated.crowd).tolist():
        start, end = np.searchsorted(found.images, [annotated.images[crowd], annotated.images[crowd] + 1])
        part = box_ioa(found.boxes[start:end], annotated.boxes[crowd : crowd + 1])[:, 0] >= SAME_IOU
        inside[start:end] |= part & (found.labels[start:end] == annotated.labels[crowd])
    return inside
