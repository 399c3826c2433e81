"""COCO's matching and its precision-recall sums in numba, for several slices of the boxes at once.

The operations and their order follow pycocotools (cocoeval.py, maskApi.c), so the results are equal to the bit.
All kernels stand in this file, because numba's cache does not see a change in another one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anchorloc.boxes.jit import kernel
from anchorloc.structures import BoolArray, Float64Array, IntArray

FALSE_POSITIVE = 0  # the states of a detection
TRUE_POSITIVE = 1
IGNORED = 2  # neither, as on a crowd box

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
    detection_starts: IntArray,  # (P + 1,) where the detections of each group (one image, one class) start
    boxes: Float64Array,  # (G, 4) xywh, in the same groups
    box_starts: IntArray,  # (P + 1,)
    crowd: BoolArray,  # (G,)
    ignored: BoolArray,  # (S, G) boxes outside a slice, and crowd boxes
    outside: BoolArray,  # (S, D) detections outside a slice: ignored there if they match no box
    thresholds: Float64Array,  # (T,)
    states: Int8Array,  # (S, T, D) output
    matches: IntArray,  # (T, D) output: row of the matched box in the first slice, or -1
) -> None:
    """Match each detection, by descending score, to the unmatched box of greatest IoU."""
    for group in range(len(box_starts) - 1):
        first, last = box_starts[group], box_starts[group + 1]
        begin, end = detection_starts[group], detection_starts[group + 1]
        overlaps = np.empty((end - begin, last - first))  # IoU within one group
        for i in range(begin, end):
            for j in range(first, last):
                overlaps[i - begin, j - first] = overlap(detections[i], boxes[j], crowd[j])
        taken = np.empty(last - first, np.bool_)
        for s in range(len(ignored)):
            for t in range(len(thresholds)):
                taken[:] = False
                for i in range(begin, end):
                    winner = -1
                    for pass_over_ignored in (False, True):  # boxes of the slice come first
                        best = min(thresholds[t], 1 - 1e-10)
                        for j in range(first, last):
                            if ignored[s, j] != pass_over_ignored or (taken[j - first] and not crowd[j]):
                                continue
                            if overlaps[i - begin, j - first] >= best:  # among equals the last wins
                                best, winner = overlaps[i - begin, j - first], j
                        if winner >= 0:
                            break
                    if s == 0:
                        matches[t, i] = winner
                    if winner >= 0:
                        taken[winner - first] = True
                        states[s, t, i] = IGNORED if ignored[s, winner] else TRUE_POSITIVE
                    else:
                        states[s, t, i] = IGNORED if outside[s, i] else FALSE_POSITIVE


@kernel
def accumulate(
    counted: BoolArray,  # (S, D) detections not ignored at every threshold; class by class, by descending score
    detection_indices: IntArray,  # (E,) true positives, and detections ignored at one threshold but counted at another
    is_true_positive: BoolArray,  # (E,) which of the two
    index_starts: IntArray,  # (S, T, C + 1) where the indices of each class start
    starts: IntArray,  # (C + 1,) where the detections of each class start
    ranks: IntArray,  # (D,) rank of a detection within its class and image, from 0
    weights: IntArray,  # (D,) how many times the image of each detection counts
    boxes: IntArray,  # (C, S) weighted number of boxes to find
    limits: IntArray,  # (K,) detections counted per class and image, ascending
    recalls: Float64Array,  # (R,)
    precision: Float64Array,  # (C, S, T, R) output
    recall: Float64Array,  # (C, S, T, K) output
) -> None:
    """Write precision at the given recalls (for the last limit) and recall at each limit; -1 where no box is to find.

    Recall rises only at true positives, so the loop visits only those. The number of detections so far comes from
    running sums that all thresholds share, minus the detections ignored at one threshold.
    """
    before = np.empty(len(ranks), np.int64)
    hits_at, counted_at = np.empty(len(ranks), np.int64), np.empty(len(ranks), np.int64)
    hits_within = np.empty(len(limits), np.int64)
    for c in range(len(starts) - 1):
        for s in range(len(counted)):
            if boxes[c, s] == 0:
                precision[c, s], recall[c, s] = -1.0, -1.0
                continue
            total = 0
            for i in range(starts[c], starts[c + 1]):
                total += weights[i] * counted[s, i]
                before[i] = total
            for t in range(index_starts.shape[1]):
                hits, ignored, steps = 0, 0, 0
                hits_within[:] = 0
                for e in range(index_starts[s, t, c], index_starts[s, t, c + 1]):
                    i = detection_indices[e]
                    if not is_true_positive[e]:
                        ignored += weights[i]
                    elif weights[i] > 0:
                        hits += weights[i]
                        hits_at[steps], counted_at[steps] = hits, before[i] - ignored
                        steps += 1
                        for k in range(len(limits)):
                            if ranks[i] < limits[k]:
                                hits_within[k] += weights[i]
                for k in range(len(limits)):
                    recall[c, s, t, k] = hits_within[k] / boxes[c, s]
                _interpolate(hits_at[:steps], counted_at[:steps], boxes[c, s], recalls, precision[c, s, t])


@kernel
def _interpolate(
    hits: IntArray,  # (P,) true positives so far, at each step of recall
    counted: IntArray,  # (P,) detections so far
    boxes: int,
    recalls: Float64Array,  # (R,)
    precision: Float64Array,  # (R,) output
) -> None:
    """Write the greatest precision at or beyond each recall."""
    place, best = len(recalls) - 1, 0.0
    for step in range(len(hits) - 1, -1, -1):
        while place >= 0 and recalls[place] > hits[step] / boxes:
            precision[place] = best
            place -= 1
        best = max(best, hits[step] / (counted[step] + np.spacing(1)))  # pycocotools' guard against 0 / 0
    precision[: place + 1] = best
