"""Rank the suspects of each kind; docs/doctor.md has the formulas."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anchorloc.doctor.suspects.box_pairs import BoxPairs, overlapping_pairs, pairs_within
from anchorloc.doctor.suspects.label_matches import SAME_IOU, LabelMatches, best_of_each
from anchorloc.doctor.suspects.score_calibration import logit
from anchorloc.doctor.suspects.usual_iou import usual_iou
from anchorloc.structures import BoolArray, Float64Array, IntArray

NONE = -1
LEAST_SCORE = 0.05  # suspects of lower scores are left out
LEAST_OVERLAP = 0.05  # IoU that makes a missing label less sure
SURE = 0.1  # least chance of a detection that judges the place of a label
LOOSE = 0.05  # expected share of loose labels
LOOSE_IOU = 0.57, 0.12  # mean and standard deviation of their IoU with a detection
OUTLIERS = 0.6, 0.25  # the same for sound labels that the detector places badly
LEAST_SPREAD = 0.03  # standard deviation of the IoU of sound labels
DOUBT = 0.1  # chance of classes that were not detected


@dataclass(frozen=True, eq=False)
class RankedSuspects:
    """The N suspects of one kind, by descending score."""

    labels: IntArray  # (N,) rows of the labels, or NONE where a label is missing
    others: IntArray  # (N,) rows of the labels that they double, or NONE
    detections: IntArray  # (N,) rows of the detections that contradict them, or NONE
    scores: Float64Array  # (N,) from 0 to 1


def wrong_classes(matches: LabelMatches) -> RankedSuspects:
    """Rank the labels where a detection of another class is likelier than their own class."""
    finds = matches.near.iou >= SAME_IOU
    same, others = matches.near.where(finds & matches.same_class), matches.near.where(finds & ~matches.same_class)
    own = _greatest(same.first, matches.class_chance[same.second], len(matches.labels))
    others = others.where(best_of_each(others.first, matches.class_chance[others.second]))
    other = matches.class_chance[others.second]
    scores = (other / (other + own[others.first] + DOUBT)) ** 2
    return _ranked(others.first, np.full(len(scores), NONE), others.second, scores)


def missing_boxes(matches: LabelMatches) -> RankedSuspects:
    """Rank the detections that no label explains, and that are not about a loose one."""
    candidates = matches.unexplained & (matches.object_chance >= LEAST_SCORE)
    candidates[_judges(matches).second] = False
    rows = np.flatnonzero(candidates)
    rows = rows[np.argsort(-matches.object_chance[rows], kind="stable")]
    repeated = pairs_within(matches.detections.take(rows), SAME_IOU)  # the likelier one first, whatever their classes
    kept = _kept(len(rows), repeated.first, repeated.second)
    rows = rows[kept]
    touching = overlapping_pairs(matches.detections.take(rows), matches.labels, LEAST_OVERLAP)
    covered = _greatest(touching.first, touching.iou, len(rows))
    scores = matches.object_chance[rows] * (1 - covered)
    none = np.full(len(rows), NONE)
    return _ranked(none, none, rows, scores)


def loose_boxes(matches: LabelMatches) -> RankedSuspects:
    """Rank the labels that differ more from a likely detection of their class than labels usually do."""
    near = _judges(matches)
    if not len(near.first):
        return _ranked(near.first, near.first, near.second, near.iou)
    rows = near.second
    chance, areas = matches.object_chance[rows], matches.detections.areas[rows]
    expected, spread = usual_iou(near.iou, np.sqrt(areas), logit(matches.scores[rows]), chance)
    usual = 0.9 * _normal(near.iou, expected, np.maximum(spread, LEAST_SPREAD)) + 0.1 * _normal(near.iou, *OUTLIERS)
    loose = _normal(near.iou, *LOOSE_IOU) * (near.iou < expected)
    scores = np.sqrt(chance * LOOSE * loose / (LOOSE * loose + (1 - LOOSE) * usual))
    return _ranked(near.first, np.full(len(scores), NONE), rows, scores)


def doubled_boxes(matches: LabelMatches) -> RankedSuspects:
    """Rank the pairs of labels of one class that overlap, where only one object is detected."""
    labels = matches.labels
    pairs = pairs_within(labels, SAME_IOU)
    pairs = pairs.where(labels.labels[pairs.first] == labels.labels[pairs.second])
    near = matches.near.where(matches.same_class & (matches.near.iou >= SAME_IOU))
    near = near.where(best_of_each(near.second, near.iou))
    found = _greatest(near.first, matches.object_chance[near.second], len(labels))
    scores = pairs.iou * (1 - np.minimum(found[pairs.first], found[pairs.second]))
    worse = found[pairs.first] < found[pairs.second]
    first, second = np.where(worse, pairs.first, pairs.second), np.where(worse, pairs.second, pairs.first)
    return _ranked(first, second, np.full(len(scores), NONE), scores)


def _normal(values: Float64Array, mean: Float64Array | float, deviation: Float64Array | float) -> Float64Array:
    """Return the normal density of values (N,), but for its constant factor."""
    return np.asarray(np.exp(-(((values - mean) / deviation) ** 2) / 2) / deviation)


def _judges(matches: LabelMatches) -> BoxPairs:
    """Return the label whose place each likely detection judges: the nearest of its class, if it is the nearest too."""
    near = matches.near.where(matches.same_class & (matches.object_chance[matches.near.second] >= SURE))
    near = near.where(best_of_each(near.second, near.iou))
    return near.where(best_of_each(near.first, near.iou))


def _kept(count: int, better: IntArray, worse: IntArray) -> BoolArray:
    """Return a mask (count,) of what greedy suppression keeps; `better` rows come before `worse` ones."""
    kept = np.ones(count, np.bool_)
    order = np.argsort(better, kind="stable")
    for one, other in zip(better[order].tolist(), worse[order].tolist(), strict=True):
        if kept[one]:
            kept[other] = False
    return kept


def _greatest(rows: IntArray, values: Float64Array, count: int) -> Float64Array:
    """Return the greatest value of each row (count,), 0 where there is none."""
    found = np.zeros(count)
    np.maximum.at(found, rows, values)
    return found


def _ranked(labels: IntArray, others: IntArray, detections: IntArray, scores: Float64Array) -> RankedSuspects:
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] >= LEAST_SCORE]
    return RankedSuspects(labels[order], others[order], detections[order], scores[order])
