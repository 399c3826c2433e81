"""COCO's matching and its precision-recall sums in numba, for several slices of the boxes at once.

The operations and their order follow pycocotools (cocoeval.py, maskApi.c), so the results are equal to the bit.
All kernels stand in this file, because numba's cache does not see a change in another one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anchorloc.boxes.jit import kernel
from anchorloc.structures import BoolArray, Float64Array, IntArray

FALSE_POSITIVE = 0  # state of a detection that matches no ground-truth box
TRUE_POSITIVE = 1  # state of a detection that matches a ground-truth box
IGNORED = 2  # state of a detection that counts as neither, as on a crowd box
LANES = 8  # sets of weights that are summed side by side: as many 32-bit numbers as a register of AVX2 holds
NOT_ZERO = float(np.spacing(1))  # pycocotools' guard against 0 / 0

Int8Array = NDArray[np.int8]
Int32Array = NDArray[np.int32]


@kernel
def overlap(
    x: float, y: float, width: float, height: float, left: float, top: float, wide: float, high: float, crowd: bool
) -> float:
    """Return the IoU of two xywh boxes, or the share of the first one, a detection, that lies in a crowd box."""
    common_width = min(x + width, left + wide) - max(x, left)
    common_height = min(y + height, top + high) - max(y, top)
    if common_width <= 0 or common_height <= 0:
        return 0.0
    both = common_width * common_height
    area = width * height
    return float(both / (area if crowd else area + wide * high - both))


@kernel
def match(
    detections: Float64Array,  # (D, 4) xywh, group after group, by descending score in each
    detection_starts: IntArray,  # (P + 1,) where the detections of each group (one image, one class) start
    boxes: Float64Array,  # (G, 4) xywh, in the same groups
    box_starts: IntArray,  # (P + 1,)
    crowd: BoolArray,  # (G,)
    ignored: BoolArray,  # (S, G) boxes outside a slice, and crowd boxes
    outside: BoolArray,  # (S, D) detections outside a slice: ignored there if they match no box
    thresholds: Float64Array,  # (T,) ascending
    places: IntArray,  # (D,) where each detection is in the output
    rows: IntArray,  # (G,) row of each box in the truth table
    states: Int8Array,  # (S, T, D) output
    matches: Int32Array,  # (T, D) output: row of the matched box in the first slice, or -1
) -> None:
    """Match each detection, by descending score, to the unmatched box of greatest IoU.

    Each detection meets all slices and thresholds before the next one comes, so no matrix of overlaps is kept.
    """
    slices, levels, largest = len(ignored), len(thresholds), 0
    for group in range(len(box_starts) - 1):
        largest = max(largest, box_starts[group + 1] - box_starts[group])
    near, overlaps = np.empty(largest, np.int64), np.empty(largest)  # boxes that one detection can match, their IoU
    taken = np.empty((largest, slices, levels), np.bool_)
    for group in range(len(box_starts) - 1):
        first, last = box_starts[group], box_starts[group + 1]
        taken[: last - first] = False
        for i in range(detection_starts[group], detection_starts[group + 1]):
            x, y, width, height = detections[i, 0], detections[i, 1], detections[i, 2], detections[i, 3]
            count, place = 0, places[i]
            for j in range(first, last):
                value = overlap(x, y, width, height, boxes[j, 0], boxes[j, 1], boxes[j, 2], boxes[j, 3], crowd[j])
                if value >= min(thresholds[0], 1 - 1e-10):
                    near[count], overlaps[count] = j, value
                    count += 1
            for s in range(slices):
                for t in range(levels):
                    winner = -1
                    for pass_over_ignored in (False, True):  # boxes of the slice come first
                        best = min(thresholds[t], 1 - 1e-10)
                        for c in range(count):
                            j = near[c]
                            if ignored[s, j] != pass_over_ignored or (taken[j - first, s, t] and not crowd[j]):
                                continue
                            if overlaps[c] >= best:  # among equals the last wins
                                best, winner = overlaps[c], j
                        if winner >= 0:
                            break
                    if s == 0:
                        matches[t, place] = -1 if winner < 0 else rows[winner]
                    if winner >= 0:
                        taken[winner - first, s, t] = True
                        states[s, t, place] = IGNORED if ignored[s, winner] else TRUE_POSITIVE
                    else:
                        states[s, t, place] = IGNORED if outside[s, i] else FALSE_POSITIVE


@kernel
def count_boxes(
    images: IntArray,  # (G,) of each box
    labels: IntArray,  # (G,)
    countable: BoolArray,  # (S, G) which boxes of each slice are to find
    weights: IntArray,  # (N, LANES)
    boxes: IntArray,  # (C, S, LANES) output, zeros before
) -> None:
    """Add up the weighted boxes that are to find."""
    for s in range(len(countable)):
        for i in range(len(images)):
            if countable[s, i]:
                for lane in range(LANES):
                    boxes[labels[i], s, lane] += weights[images[i], lane]


@kernel
def accumulate(
    images: Int32Array,  # (M,) image of each counted detection: slice by slice, class by class, by descending score
    starts: IntArray,  # (S, C + 1) where the detections of each class start in `images`
    events: Int32Array,  # (E,) index in `images` of true positives, and of detections ignored at this threshold alone
    is_true_positive: BoolArray,  # (E,) which of the two
    ranks: Int32Array,  # (E,) rank of the detection within its class and image, from 0
    event_starts: IntArray,  # (S, T, C + 1) where the events of each class start
    weights: IntArray,  # (N, LANES) how many times each image counts, in each of LANES sets
    boxes: IntArray,  # (C, S, LANES) weighted number of boxes to find
    limits: IntArray,  # (K,) detections counted per class and image, ascending
    recalls: Float64Array,  # (R,)
    precision: Float64Array,  # (C, S, T, R) output for the first set, or (C, S, T, 0) where only AP is asked for
    ap: Float64Array,  # (C, S, T, LANES) output
    recall: Float64Array,  # (C, S, T, K, LANES) output
) -> None:
    """Write precision at the given recalls and its mean, AP, for the last limit, and recall at each limit.

    All are -1 where no box is to find. Recall rises only at true positives, so the loop visits only those. The number
    of detections so far comes from running sums that all thresholds share, minus the detections ignored at one
    threshold. The sets of weights take the same steps side by side, so that one instruction serves all of them.
    """
    largest = 0
    for s in range(len(starts)):
        for c in range(starts.shape[1] - 1):
            largest = max(largest, starts[s, c + 1] - starts[s, c])
    before = np.empty((largest, LANES), weights.dtype)
    hits_at, counted_at = np.empty((largest, LANES), weights.dtype), np.empty((largest, LANES), weights.dtype)
    hits_within = np.empty((len(limits) + 1, LANES), weights.dtype)  # by the first limit that counts them, and past all
    total, hits = np.empty(LANES, weights.dtype), np.empty(LANES, weights.dtype)
    ignored = np.empty(LANES, weights.dtype)
    for c in range(starts.shape[1] - 1):
        for s in range(len(starts)):
            if boxes[c, s].max() == 0:
                precision[c, s], ap[c, s], recall[c, s] = -1.0, -1.0, -1.0
                continue
            first = starts[s, c]
            total[:] = 0
            for i in range(first, starts[s, c + 1]):
                image = images[i]
                for lane in range(LANES):
                    total[lane] += weights[image, lane]
                    before[i - first, lane] = total[lane]
            for t in range(event_starts.shape[1]):
                hits[:] = 0
                ignored[:] = 0
                hits_within[:] = 0
                steps = 0
                for e in range(event_starts[s, t, c], event_starts[s, t, c + 1]):
                    place = events[e] - first
                    image = images[events[e]]
                    if is_true_positive[e]:
                        within = 0
                        for k in range(len(limits)):
                            within += ranks[e] >= limits[k]
                        for lane in range(LANES):
                            hits[lane] += weights[image, lane]
                            hits_within[within, lane] += weights[image, lane]
                            hits_at[steps, lane] = hits[lane]
                            counted_at[steps, lane] = before[place, lane] - ignored[lane]
                        steps += 1
                    else:
                        for lane in range(LANES):
                            ignored[lane] += weights[image, lane]
                _mean_precision(hits_at[:steps], counted_at[:steps], boxes[c, s], recalls, ap[c, s, t])
                if precision.shape[3] > 0:
                    _interpolate(hits_at[:steps, 0], counted_at[:steps, 0], boxes[c, s, 0], recalls, precision[c, s, t])
                hits[:] = 0
                for k in range(len(limits)):
                    for lane in range(LANES):
                        hits[lane] += hits_within[k, lane]
                        recall[c, s, t, k, lane] = hits[lane] / boxes[c, s, lane] if boxes[c, s, lane] else -1.0


@kernel
def _interpolate(
    hits: IntArray,  # (P,) true positives so far, at each step of recall
    counted: IntArray,  # (P,) detections so far
    boxes: int,
    recalls: Float64Array,  # (R,)
    precision: Float64Array,  # (R,) output
) -> None:
    """Write the greatest precision at or beyond each recall, -1 where no box is to find."""
    if boxes == 0:
        precision[:] = -1.0
        return
    place, best = len(recalls) - 1, 0.0
    for step in range(len(hits) - 1, -1, -1):
        while place >= 0 and recalls[place] > hits[step] / boxes:
            precision[place] = best
            place -= 1
        best = max(best, hits[step] / (counted[step] + NOT_ZERO))
    precision[: place + 1] = best


@kernel
def _mean_precision(
    hits: IntArray,  # (P, LANES) as in `_interpolate`, of each set of weights
    counted: IntArray,
    boxes: IntArray,  # (LANES,)
    recalls: Float64Array,  # (R,) evenly spaced from 0 to 1
    ap: Float64Array,  # (LANES,) output
) -> None:
    """Write the mean of what `_interpolate` writes, in time that does not grow with R."""
    best, left = np.zeros(LANES), np.full(LANES, len(recalls))  # recalls whose precision is not in the sum
    ap[:] = 0.0
    for step in range(len(hits) - 1, -1, -1):
        is_better = False
        for lane in range(LANES):
            is_better |= hits[step, lane] > best[lane] * (counted[step, lane] + NOT_ZERO)
        if not is_better:
            continue
        for lane in range(LANES):
            if hits[step, lane] <= best[lane] * (counted[step, lane] + NOT_ZERO):
                continue
            recall = hits[step, lane] / boxes[lane]
            reached = min(int(recall * (len(recalls) - 1)) + 1, len(recalls))  # recalls up to this one, or one off
            if reached < len(recalls) and recalls[reached] <= recall:
                reached += 1
            elif recalls[reached - 1] > recall:
                reached -= 1
            ap[lane] += best[lane] * (left[lane] - reached)
            left[lane], best[lane] = reached, hits[step, lane] / (counted[step, lane] + NOT_ZERO)
    for lane in range(LANES):
        ap[lane] = (ap[lane] + best[lane] * left[lane]) / len(recalls) if boxes[lane] else -1.0
