"""COCO's matching in numba: which detection finds which box, for several sets of boxes to find at once.

Operations and their order are those of pycocotools (cocoeval.py, maskApi.c), so that the outcome is the same to the
bit. All kernels stand in this file, because numba's cache does not see a change elsewhere.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anchorloc.boxes.jit import kernel
from anchorloc.structures import BoolArray, IntArray

WRONG, RIGHT, ASIDE = 0, 1, 2  # ASIDE: neither, as on a crowd box

Float64Array = NDArray[np.float64]
Int8Array = NDArray[np.int8]


@kernel
def overlap(detection: Float64Array, box: Float64Array, crowd: bool) -> float:
    """Return the IoU of two xywh boxes, or the share of the detection that lies in a crowd box."""
    width = min(detection[0] + detection[2], box[0] + box[2]) - max(detection[0], box[0])
    height = min(detection[1] + detection[3], box[1] + box[3]) - max(detection[1], box[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    area = detection[2] * detection[3]
    return float(both / (area if crowd else area + box[2] * box[3] - both))


@kernel
def match(
    detections: Float64Array,  # (D, 4) xywh, group after group, by descending score in each
    detection_starts: IntArray,  # (P + 1,) where the detections of each group (an image and a class) start
    boxes: Float64Array,  # (G, 4) xywh, in the same groups
    box_starts: IntArray,  # (P + 1,)
    crowd: BoolArray,  # (G,)
    ignored: BoolArray,  # (S, G) boxes that a slice does not ask for
    outside: BoolArray,  # (S, D) detections that are no error of a slice where they find nothing
    thresholds: Float64Array,  # (T,)
    states: Int8Array,  # (S, T, D) written
    matches: IntArray,  # (T, D) written: the box that each finds in the first slice, or -1
) -> None:
    """Give each detection, by descending score, the box still free that it overlaps most."""
    for group in range(len(box_starts) - 1):
        first, last = box_starts[group], box_starts[group + 1]
        begin, end = detection_starts[group], detection_starts[group + 1]
        overlaps = np.empty((end - begin, last - first))
        for i in range(begin, end):
            for j in range(first, last):
                overlaps[i - begin, j - first] = overlap(detections[i], boxes[j], crowd[j])
        taken = np.empty(last - first, np.bool_)
        for s in range(len(ignored)):
            for t in range(len(thresholds)):
                taken[:] = False
                for i in range(begin, end):
                    winner = -1
                    for aside in (False, True):  # boxes that are asked for come first
                        best = min(thresholds[t], 1 - 1e-10)
                        for j in range(first, last):
                            if ignored[s, j] != aside or (taken[j - first] and not crowd[j]):
                                continue
                            if overlaps[i - begin, j - first] >= best:  # of equals, the last
                                best, winner = overlaps[i - begin, j - first], j
                        if winner >= 0:
                            break
                    if s == 0:
                        matches[t, i] = winner
                    if winner >= 0:
                        taken[winner - first] = True
                        states[s, t, i] = ASIDE if ignored[s, winner] else RIGHT
                    else:
                        states[s, t, i] = ASIDE if outside[s, i] else WRONG


@kernel
def accumulate(
    counted: BoolArray,  # (S, D) detections that count at some threshold; class after class, by descending score
    places: IntArray,  # (E,) the detections that are right, and those that do not count at this threshold
    rights: BoolArray,  # (E,) which of the two
    place_starts: IntArray,  # (S, T, C + 1) where the places of each class start
    starts: IntArray,  # (C + 1,) where the detections of each class start
    ranks: IntArray,  # (D,) of a detection among those of its class and image, from 0
    weights: IntArray,  # (D,) how often the image of each counts
    boxes: IntArray,  # (C, S) to find, each as often as its image counts
    limits: IntArray,  # (K,) detections of a class and image that count, ascending
    recalls: Float64Array,  # (R,)
    precision: Float64Array,  # (C, S, T, R) written
    recall: Float64Array,  # (C, S, T, K) written
) -> None:
    """Write precision at given recalls (at the last limit), and recall at each limit; -1 where nothing is to find.

    Recall rises at the detections that are right, so the sums are taken there alone: over running counts that all
    thresholds share, less those that do not count at one.
    """
    before = np.empty(len(ranks), np.int64)
    right_at, counted_at = np.empty(len(ranks), np.int64), np.empty(len(ranks), np.int64)
    right_within = np.empty(len(limits), np.int64)
    for c in range(len(starts) - 1):
        for s in range(len(counted)):
            if boxes[c, s] == 0:
                precision[c, s], recall[c, s] = -1.0, -1.0
                continue
            total = 0
            for i in range(starts[c], starts[c + 1]):
                total += weights[i] * counted[s, i]
                before[i] = total
            for t in range(place_starts.shape[1]):
                right, aside, steps = 0, 0, 0
                right_within[:] = 0
                for e in range(place_starts[s, t, c], place_starts[s, t, c + 1]):
                    i = places[e]
                    if not rights[e]:
                        aside += weights[i]
                    elif weights[i] > 0:
                        right += weights[i]
                        right_at[steps], counted_at[steps] = right, before[i] - aside
                        steps += 1
                        for k in range(len(limits)):
                            if ranks[i] < limits[k]:
                                right_within[k] += weights[i]
                for k in range(len(limits)):
                    recall[c, s, t, k] = right_within[k] / boxes[c, s]
                _interpolate(right_at[:steps], counted_at[:steps], boxes[c, s], recalls, precision[c, s, t])


@kernel
def _interpolate(
    right: IntArray, counted: IntArray, boxes: int, recalls: Float64Array, precision: Float64Array
) -> None:
    """Write the greatest precision at or beyond each recall, from the counts where recall rises."""
    place, best = len(recalls) - 1, 0.0
    for step in range(len(right) - 1, -1, -1):
        while place >= 0 and recalls[place] > right[step] / boxes:
            precision[place] = best
            place -= 1
        best = max(best, right[step] / (counted[step] + np.spacing(1)))  # pycocotools' guard against 0 / 0
    precision[: place + 1] = best
