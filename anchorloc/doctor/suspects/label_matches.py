"""Labels and detections side by side: which overlap, and how far each detection can be believed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anchorloc.doctor.suspects.box_pairs import BoxPairs, PlacedBoxes, overlapping_pairs
from anchorloc.doctor.suspects.score_calibration import calibrate
from anchorloc.structures import BoolArray, Float64Array, IntArray

NEAR_IOU = 0.25  # least IoU at which a detection and a label may be about one object
SAME_IOU = 0.5  # IoU at which a detection finds a label, as in COCO's AP50


@dataclass(frozen=True, eq=False)
class LabelMatches:
    """The L labels and the D detections of all images."""

    labels: PlacedBoxes  # without crowd boxes
    detections: PlacedBoxes
    scores: Float64Array  # (D,)
    near: BoxPairs  # a label and a detection, with an IoU of at least NEAR_IOU
    object_chance: Float64Array  # (D,) the chance that a detection without a label shows an object of its class
    class_chance: Float64Array  # (D,) the chance that the object of a label which it overlaps has its class
    unexplained: BoolArray  # (D,) whether no label has an IoU of SAME_IOU with it

    @property
    def same_class(self) -> BoolArray:
        """(P,) whether the label and the detection of each near pair have one class."""
        return np.asarray(self.labels.labels[self.near.first] == self.detections.labels[self.near.second])


def match_labels(labels: PlacedBoxes, detections: PlacedBoxes, scores: Float64Array, classes: int) -> LabelMatches:
    """Find the near pairs, and calibrate the scores by the detections that find a label and by all others."""
    near = overlapping_pairs(labels, detections, NEAR_IOU)
    same_class = labels.labels[near.first] == detections.labels[near.second]
    finds = near.iou >= SAME_IOU
    unexplained = np.ones(len(detections), np.bool_)
    unexplained[near.second[finds]] = False
    own = near.where(finds & same_class)
    own = own.where(best_of_each(own.second, own.iou))
    own = own.where(best_of_each(own.first, scores[own.second]))
    right = np.zeros(len(detections), np.bool_)
    right[own.second] = True
    counted = right | unexplained  # a repeated detection, or one of another class, is no evidence
    of_objects = calibrate(scores[counted], detections.labels[counted], right[counted], classes)
    on_labels = near.where(finds)
    on_labels = on_labels.where(best_of_each(on_labels.second, on_labels.iou))
    group = on_labels.first * classes + detections.labels[on_labels.second]
    on_labels = on_labels.where(best_of_each(group, scores[on_labels.second]))
    found, rows = labels.labels[on_labels.first], on_labels.second
    of_classes = calibrate(scores[rows], detections.labels[rows], found == detections.labels[rows], classes)
    return LabelMatches(
        labels=labels,
        detections=detections,
        scores=scores,
        near=near,
        object_chance=of_objects(scores, detections.labels),
        class_chance=of_classes(scores, detections.labels),
        unexplained=unexplained,
    )


def best_of_each(groups: IntArray, values: Float64Array) -> BoolArray:
    """Return a mask (P,) of the row of greatest value in each group, the first one of equal values."""
    order = np.lexsort((-values, groups))  # stable
    first = np.ones(len(order), np.bool_)
    first[1:] = groups[order][1:] != groups[order][:-1]
    chosen = np.zeros(len(order), np.bool_)
    chosen[order[first]] = True
    return chosen
