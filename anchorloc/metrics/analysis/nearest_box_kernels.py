"""Search the boxes of each image for the nearest ones, pair by pair: memory does not grow with pairs."""

from __future__ import annotations

from anchorloc.boxes.jit import kernel
from anchorloc.structures import BoolArray, Float64Array, IntArray


@kernel
def find_nearest(
    boxes: Float64Array,  # (D, 4) xyxy detections, image after image
    labels: IntArray,  # (D,)
    starts: IntArray,  # (N + 1,) where the detections of each image start
    truths: Float64Array,  # (G, 4) xyxy ground truth, image after image
    truth_labels: IntArray,  # (G,)
    crowd: BoolArray,  # (G,) crowd boxes are nobody's neighbors
    truth_starts: IntArray,  # (N + 1,)
    same_iou: Float64Array,  # (D,) output, as the other fields of `NearestBoxes`; all IoUs come as 0, all rows as -1
    same: IntArray,
    other_iou: Float64Array,
    other: IntArray,
    best_iou: Float64Array,  # (G,) output
    neighbor_iou: Float64Array,  # (G,) output
) -> None:
    """Find the nearest boxes; the first of equal ones wins."""
    for image in range(len(starts) - 1):
        first, last = truth_starts[image], truth_starts[image + 1]
        for j in range(first, last):
            for k in range(j + 1, last):
                if crowd[j] or crowd[k]:
                    continue
                value = box_iou(truths, j, truths, k)
                neighbor_iou[j] = max(neighbor_iou[j], value)
                neighbor_iou[k] = max(neighbor_iou[k], value)
        for i in range(starts[image], starts[image + 1]):
            for j in range(first, last):
                if crowd[j]:
                    continue
                value = box_iou(boxes, i, truths, j)
                if labels[i] == truth_labels[j]:
                    best_iou[j] = max(best_iou[j], value)
                    if same[i] < 0 or value > same_iou[i]:
                        same_iou[i], same[i] = value, j
                elif other[i] < 0 or value > other_iou[i]:
                    other_iou[i], other[i] = value, j


@kernel
def box_iou(boxes: Float64Array, i: int, others: Float64Array, j: int) -> float:
    """Return the IoU of two boxes, in the order of operations of `anchorloc.boxes.box_iou`."""
    width = min(boxes[i, 2], others[j, 2]) - max(boxes[i, 0], others[j, 0])
    height = min(boxes[i, 3], others[j, 3]) - max(boxes[i, 1], others[j, 1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    area = (boxes[i, 2] - boxes[i, 0]) * (boxes[i, 3] - boxes[i, 1])
    other_area = (others[j, 2] - others[j, 0]) * (others[j, 3] - others[j, 1])
    return float(both / (area + other_area - both))
