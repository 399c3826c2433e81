"""Evaluate the detections of a set of images by COCO's protocol for boxes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from anchorloc.metrics.box_tables import DetectionTable, TruthTable, detection_table, truth_table
from anchorloc.metrics.evidence import too_few
from anchorloc.metrics.matching import MatchResult, coco_slices, match_detections
from anchorloc.metrics.operating_point import OperatingPoint, best_f1, best_recall
from anchorloc.metrics.protocol import COCO, Protocol
from anchorloc.metrics.scores import Scores, mean_of_known
from anchorloc.metrics.summary import CocoSummary, summarize
from anchorloc.metrics.weighted_ap import fast_score
from anchorloc.structures import Category, Detections, IntArray, Target
from anchorloc.text import counted

Scorer = Literal["anchorloc", "pycocotools"]  # the numbers of the two are equal to the bit


@dataclass(frozen=True)
class ClassMetrics:
    """The numbers of one class. AP and AR are None if the class has no box to find; no mean counts such a class."""

    category: Category
    ap: float | None
    ap50: float | None
    ap75: float | None
    ar: float | None  # at the last limit of max_detections
    images: int  # with a box of the class
    boxes: int  # boxes to find, without crowd boxes
    crowds: int
    detections: int

    @property
    def few(self) -> bool:
        """Return whether the class has boxes, but too few of them or too few images with one for a verdict."""
        return self.boxes > 0 and too_few(self.boxes, self.images)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The numbers of one evaluation."""

    summary: CocoSummary
    classes: tuple[ClassMetrics, ...]  # by label
    images: int
    empty_images: int  # without any box
    over_max_detections: int  # detections past max_detections of their class and image; they do not count
    operating_point: OperatingPoint | None
    matched: tuple[IntArray, ...] = field(
        repr=False
    )  # per image (N,): row of the matched box at IoU 0.5; -1 none, -2 ignored
    scores: Scores = field(repr=False)
    protocol: Protocol = COCO

    @property
    def boxes(self) -> int:
        """Count the boxes to find."""
        return sum(metrics.boxes for metrics in self.classes)

    @property
    def crowds(self) -> int:
        """Count the crowd boxes: a detection matched to one is ignored."""
        return sum(metrics.crowds for metrics in self.classes)

    @property
    def detections(self) -> int:
        """Count all detections, ignored ones too."""
        return sum(metrics.detections for metrics in self.classes)

    @property
    def unscored_detections(self) -> int:
        """Count the detections of classes without a box to find: false positives that no COCO number counts."""
        return sum(metrics.detections for metrics in self.classes if not metrics.boxes)

    def at_precision(self, detections: Sequence[Detections], precision: float) -> OperatingPoint | None:
        """Return the threshold of greatest recall whose precision is at least `precision`; None if no threshold has it.

        Args:
            detections: the scored detections of each image.
            precision: above 0, and at most 1; all classes together at IoU 0.5.
        """
        scores = np.concatenate([found.scores for found in detections]).astype(np.float64)
        matched = np.concatenate(self.matched)
        counted_rows = matched != -2
        return best_recall(scores[counted_rows], matched[counted_rows] >= 0, self.boxes, precision)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return what a reader of the numbers should know, a sentence each."""
        return tuple(_warnings(self))


def evaluate(
    targets: Sequence[Target],
    detections: Sequence[Detections],
    categories: Sequence[Category],
    max_detections: Sequence[int] = (1, 10, 100),
    by_size: bool = True,
    scorer: Scorer = "anchorloc",
    protocol: Protocol = COCO,
) -> Evaluation:
    """Score detections by COCO's protocol for boxes.

    Args:
        targets: the ground truth of each image; nothing in it is changed.
        detections: the detections of each image, in the order of `targets`.
        categories: the classes; a label is an index into them.
        max_detections: detections counted per class and image, ascending; AP uses the last.
        by_size: score small, medium and large boxes too, which takes most of the time.
        scorer: our twin of pycocotools, which is equal to the bit, or pycocotools itself, which takes many times as
            long.
        protocol: the IoU thresholds that AP and AR are means over, and the borders of sizes.

    Raises:
        InputError: a detection is not finite.
        ValueError: the arguments do not fit together.
    """
    _check(targets, detections, max_detections)
    truth = truth_table(targets, len(categories))
    found = detection_table(detections, len(categories))
    order = image_order(detections)
    scores = _scorer(scorer)(truth, found, order, len(categories), max_detections, by_size, protocol)
    if protocol.scored != list(range(len(protocol.matched_ious))):
        kept = protocol.scored
        scores = replace(scores, precision=scores.precision[kept], recall=scores.recall[kept])
    return Evaluation(
        summary=summarize(scores, max_detections, protocol),
        classes=tuple(_class_metrics(categories, truth, found, scores, protocol)),
        images=len(targets),
        empty_images=sum(len(target) == 0 for target in targets),
        over_max_detections=_over_max_detections(found, len(categories), max_detections[-1]),
        operating_point=_operating_point(truth, found, scores),
        matched=_matched(truth, found, scores, len(targets)),
        scores=scores,
        protocol=protocol,
    )


def match_targets(
    targets: Sequence[Target],
    detections: Sequence[Detections],
    categories: Sequence[Category],
    limit: int,
    by_size: bool = True,
) -> MatchResult:
    """Match detections once, for `weighted_scores` and `bootstrap`; `limit` is the last limit of `max_detections`."""
    _check(targets, detections, [limit])
    truth, found = truth_table(targets, len(categories)), detection_table(detections, len(categories))
    slices = coco_slices(truth, found, by_size)
    return match_detections(truth, found, image_order(detections), len(categories), limit, slices)


def _scorer(scorer: Scorer) -> Callable[..., Scores]:
    if scorer == "anchorloc":
        return fast_score
    from anchorloc.metrics.pycocotools_scorer import pycocotools_score  # only what scores with pycocotools loads it

    return pycocotools_score


def _check(targets: Sequence[Target], detections: Sequence[Detections], max_detections: Sequence[int]) -> None:
    if len(targets) != len(detections):
        raise ValueError(f"need one Detections for each target, got {len(detections)} for {len(targets)}")
    if len({found.image_id for found in detections}) < len(detections):
        raise ValueError("two Detections have the same image_id; merge them")
    if not max_detections or list(max_detections) != sorted(set(max_detections)) or max_detections[0] < 1:
        raise ValueError(f"max_detections must be ascending and at least 1, got {tuple(max_detections)}")


def image_order(detections: Sequence[Detections]) -> list[int]:
    """Return the order that ranks equal scores of different images: by image id, as pycocotools does."""
    ids = [found.image_id for found in detections]
    return sorted(range(len(ids)), key=lambda image: (isinstance(ids[image], str), ids[image]))


def _class_metrics(
    categories: Sequence[Category], truth: TruthTable, found: DetectionTable, scores: Scores, protocol: Protocol
) -> Iterator[ClassMetrics]:
    classes, loose, tight = len(categories), protocol.place(0.5), protocol.place(0.75)
    crowds = np.bincount(truth.labels[truth.crowd], minlength=classes).tolist()
    boxes = np.bincount(truth.labels[~truth.crowd], minlength=classes).tolist()
    annotated = np.unique(truth.images * classes + truth.labels) % max(1, classes)  # the class of each pair
    images = np.bincount(annotated, minlength=classes).tolist()
    detections = np.bincount(found.labels, minlength=classes).tolist()
    for label, category in enumerate(categories):
        precision = scores.precision[:, :, label, 0]  # (T, R)
        yield ClassMetrics(
            category=category,
            ap=mean_of_known(precision),
            ap50=None if loose is None else mean_of_known(precision[loose]),
            ap75=None if tight is None else mean_of_known(precision[tight]),
            ar=mean_of_known(scores.recall[:, label, 0, -1]),
            images=images[label],
            boxes=boxes[label],
            crowds=crowds[label],
            detections=detections[label],
        )


def _over_max_detections(found: DetectionTable, classes: int, limit: int) -> int:
    full = np.bincount(found.images)[found.images] > limit  # the detections of images that may have too many
    keys = np.sort(found.images[full] * classes + found.labels[full])
    counts = np.diff(np.flatnonzero(np.diff(keys, prepend=-1)), append=len(keys))  # per image and class
    return int(np.maximum(counts - limit, 0).sum())


def _operating_point(truth: TruthTable, found: DetectionTable, scores: Scores) -> OperatingPoint | None:
    counted_rows = ~scores.ignored
    return best_f1(found.scores[counted_rows], scores.matched[counted_rows] >= 0, int((~truth.crowd).sum()))


def _matched(truth: TruthTable, found: DetectionTable, scores: Scores, images: int) -> tuple[IntArray, ...]:
    """Split the matches by image; rows count within the image."""
    first_row = np.searchsorted(truth.images, found.images)
    rows = np.where(scores.matched >= 0, scores.matched - first_row, -1)
    rows[scores.ignored] = -2
    return tuple(np.split(rows, np.searchsorted(found.images, np.arange(1, images)))[:images])


def _warnings(evaluation: Evaluation) -> Iterator[str]:
    limit, past = evaluation.summary.max_detections[-1], evaluation.over_max_detections
    unscored = evaluation.unscored_detections
    if past:
        yield f"{counted(past, 'detection')} past the first {limit} of a class and image: left out, as by COCO"
    if unscored:
        belong, them = ("belongs to a class", "it") if unscored == 1 else ("belong to classes", "them")
        yield f"{counted(unscored, 'detection')} {belong} without ground truth; no metric counts {them}"
    if not evaluation.boxes:
        yield "there is no ground-truth box, so there is no AP"
    elif not evaluation.detections:
        yield "there are no detections, so every number is 0"
