"""Warn where the detections of a result file are not what they seem; nothing is corrected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from anchorloc.boxes import best_overlap
from anchorloc.data.source import Annotations
from anchorloc.structures import Category, Detections, Float64Array, IntArray
from anchorloc.text import counted, shorten

MAX_IMAGES = 500  # images in which boxes are compared with the annotations, spread over the file
MAX_BOXES = 300  # detections of highest score, and annotated boxes, that are compared in each of them
MIN_HITS = 3  # overlaps that another reading of boxes or class ids needs
MIN_SHARE = 0.1  # share of the compared annotated boxes that another reading of the boxes must find
LOWEST, LOWEST_DETECTIONS = 0.05, 20  # a lowest score of at least LOWEST among so many detections was cut
CAP, CAP_IMAGES, CAP_SHARE = 10, 3, 0.05  # so many images, and this share of them, with one greatest count were cut

Reading = Callable[[Float64Array, Float64Array], Float64Array]  # values as written (N, 4), image size (4,) -> xyxy


def _corners(values: Float64Array, size: Float64Array) -> Float64Array:
    return values


def _from_corner(values: Float64Array, size: Float64Array) -> Float64Array:
    return np.concatenate([values[:, :2], values[:, :2] + values[:, 2:]], axis=1)


def _from_center(values: Float64Array, size: Float64Array) -> Float64Array:
    half = values[:, 2:] / 2
    return np.concatenate([values[:, :2] - half, values[:, :2] + half], axis=1)


def _shares_of(read: Reading) -> Reading:
    return lambda values, size: read(values * size, size)


AS_WRITTEN = "x, y, width, height in pixels"
READINGS: dict[str, Reading] = {
    AS_WRITTEN: _from_corner,
    "the corners x1, y1, x2, y2": _corners,
    "center x, center y, width, height": _from_center,
    "x, y, width, height as shares of the image": _shares_of(_from_corner),
    "the corners x1, y1, x2, y2 as shares of the image": _shares_of(_corners),
    "center x, center y, width, height as shares of the image": _shares_of(_from_center),
}


def result_warnings(detections: Sequence[Detections], truth: Annotations) -> list[str]:
    """Return a sentence on each sign that a result file is not what it seems.

    The signs are boxes in another form than x, y, width, height; class ids shifted by a constant; detections none of
    which overlaps a box of its class; one class alone; repeated detections; equal scores; and scores or counts that
    were cut, so that AP is a lower bound. Boxes are compared with the annotations in up to MAX_IMAGES images.

    Args:
        detections: the detections of each image of `truth`, as `read_results` returns them.
        truth: the annotations.
    """
    if not sum(map(len, detections)):
        return []
    return [*_odd_boxes_or_classes(detections, truth), *_odd_classes(detections, truth), *_odd_scores(detections)]


@dataclass
class _Overlaps:
    """What one reading of the boxes overlaps by IoU 0.5 in the compared images."""

    found: int = 0  # annotated boxes that some detection overlaps
    boxes: int = 0  # annotated boxes
    pairs: Counter[tuple[int, int]] | None = None  # (label, label of the overlapped box): count

    def add(self, boxes: Float64Array, labels: IntArray, truth: Float64Array, truth_labels: IntArray) -> None:
        rows, iou = best_overlap(boxes, truth)
        hits = iou >= 0.5
        self.found += len(np.unique(rows[hits]))
        self.boxes += len(truth)
        self.pairs = self.pairs or Counter()
        self.pairs.update(zip(labels[hits].tolist(), truth_labels[rows[hits]].tolist(), strict=True))


def _odd_boxes_or_classes(detections: Sequence[Detections], truth: Annotations) -> Iterator[str]:
    overlaps = {name: _Overlaps() for name in READINGS}
    both = [index for index, found in enumerate(detections) if len(found) and len(truth.target(index))]
    for index in both[:: -(-len(both) // MAX_IMAGES) or 1]:
        found, target = detections[index].take(np.arange(min(len(detections[index]), MAX_BOXES))), truth.target(index)
        height, width = truth.size(index)
        corners = found.boxes.astype(np.float64)
        values = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)  # as in the file
        size = np.array([width, height, width, height], np.float64)
        annotated, labels = target.boxes[:MAX_BOXES].astype(np.float64), target.labels[:MAX_BOXES]
        for name, read in READINGS.items():
            boxes = read(values, size)
            kept = (boxes[:, 2:] >= boxes[:, :2]).all(axis=1)
            overlaps[name].add(boxes[kept], found.labels[kept], annotated, labels)
    written = overlaps[AS_WRITTEN]
    best = max(overlaps, key=lambda name: overlaps[name].found)
    other = overlaps[best].found
    if other >= max(MIN_HITS, MIN_SHARE * written.boxes) and other > 2 * written.found:
        yield (
            f"bbox seems to hold {best}, not {AS_WRITTEN}: read that way the detections overlap {other:,} of "
            f"{counted(written.boxes, 'annotated box', 'annotated boxes')} by IoU 0.5, as written {written.found:,}; "
            "convert the boxes"
        )
    else:
        yield from _shifted_classes(written.pairs or Counter(), truth.categories)


def _shifted_classes(pairs: Counter[tuple[int, int]], categories: Sequence[Category]) -> Iterator[str]:
    """Report class ids that are shifted, or detections of which none has the class of the box that it overlaps."""
    right = sum(count for (label, other), count in pairs.items() if label == other)
    shifts: Counter[int] = Counter()
    for (label, other), count in pairs.items():
        ours, theirs = categories[label].id, categories[other].id
        if isinstance(ours, int) and isinstance(theirs, int) and ours != theirs:
            shifts[theirs - ours] += count
    shift, fits = next(iter(shifts.most_common(1)), (0, 0))
    if fits >= max(MIN_HITS, pairs.total() / 2) and fits > 2 * right:
        yield (
            f"category_id seems shifted: with {shift:+d}, {fits:,} of {pairs.total():,} detections have the class of "
            f"the annotated box that they overlap by IoU 0.5, as written {right:,}; correct the ids, or give each "
            "detection a category_name"
        )
    elif not right:
        yield (
            "no detection overlaps an annotated box of its class by IoU 0.5; check that the detections belong to these "
            "annotations, and the class ids and the form of the boxes"
        )


def _odd_classes(detections: Sequence[Detections], truth: Annotations) -> Iterator[str]:
    labels = np.unique(np.concatenate([found.labels for found in detections]))
    annotated = np.unique(np.concatenate([truth.target(index).labels for index in range(len(truth))]))
    total = sum(map(len, detections))
    if len(labels) == 1 and total > 1 and len(annotated) > 1:
        name = shorten(truth.categories[int(labels[0])].shown_name)
        yield (
            f"all {total:,} detections are of the class {name!r}, but {len(annotated):,} classes have boxes; the other "
            "classes have AP 0"
        )


def _odd_scores(detections: Sequence[Detections]) -> Iterator[str]:
    scores = np.concatenate([found.scores for found in detections])
    counts = np.array([len(found) for found in detections])
    repeated = _count_repeated(detections)
    if repeated:
        yield (
            f"{counted(repeated, 'detection repeats', 'detections repeat')} image, class, box and score of another one "
            "and may count as false; remove the copies"
        )
    lowest, most = float(scores.min()), int(counts.max())
    if len(scores) >= LOWEST_DETECTIONS and lowest == scores.max():
        yield f"all scores are {lowest:g}, so the order of the file decides AP; write the scores of the model"
    elif len(scores) >= LOWEST_DETECTIONS and lowest >= LOWEST:
        yield (
            f"no score is below {lowest:.3g}: detections of lower score seem to be left out, so AP is a lower bound; "
            "lower the score threshold of the tool"
        )
    full = int((counts == most).sum())
    if most >= CAP and full >= max(CAP_IMAGES, CAP_SHARE * len(counts)):
        yield (
            f"{full:,} images have {most:,} detections and none has more: further detections seem to be left out, so "
            "AP is a lower bound; raise the limit of the tool"
        )


def _count_repeated(detections: Sequence[Detections]) -> int:
    """Count the detections that equal another one; only neighbors of equal score can, since scores descend."""
    images = np.repeat(np.arange(len(detections)), [len(found) for found in detections])
    columns = [np.column_stack([found.scores, found.labels, found.boxes]) for found in detections]
    table = np.column_stack([images, np.concatenate(columns)])
    equal = (table[1:, :2] == table[:-1, :2]).all(axis=1)
    rows = table[np.append(equal, False) | np.append(False, equal)]
    return len(rows) - len(np.unique(rows, axis=0))
