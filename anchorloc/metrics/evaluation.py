"""How well the detections of a set of images find the truth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from anchorloc.metrics.box_tables import DetectionTable, TruthTable, detection_table, truth_table
from anchorloc.metrics.fast_scorer import fast_score
from anchorloc.metrics.matching import IOU_THRESHOLDS, Outcomes, coco_slices, match_detections
from anchorloc.metrics.operating_point import OperatingPoint, best_f1
from anchorloc.metrics.pycocotools_scorer import Scores, score
from anchorloc.metrics.summary import Summary, mean_of_known, summarize
from anchorloc.structures import Category, Detections, IntArray, Target


@dataclass(frozen=True)
class ClassMetrics:
    """One class. A number is None where the class has no box to find; such a class is in no mean."""

    category: Category
    ap: float | None
    ap50: float | None
    ap75: float | None
    ar: float | None  # at the last of max_detections
    images: int  # that hold a box of the class
    boxes: int  # to be found: crowd boxes aside
    crowds: int
    detections: int


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The numbers of one evaluation."""

    summary: Summary
    classes: tuple[ClassMetrics, ...]  # in the order of the labels
    images: int
    empty_images: int  # without any box
    past_limit: int  # detections beyond max_detections for their class and image, which do not count
    operating_point: OperatingPoint | None
    matched: tuple[IntArray, ...] = field(repr=False)  # per image (N,): row of the box found at IoU 0.5, -1, or -2
    scores: Scores = field(repr=False)

    @property
    def boxes(self) -> int:
        """How many boxes there are to find."""
        return sum(metrics.boxes for metrics in self.classes)

    @property
    def crowds(self) -> int:
        """How many boxes stand for a group: a detection there is neither right nor wrong."""
        return sum(metrics.crowds for metrics in self.classes)

    @property
    def detections(self) -> int:
        """How many detections there are, counted or not."""
        return sum(metrics.detections for metrics in self.classes)

    @property
    def unscored_detections(self) -> int:
        """Detections of classes without a box to find: false, and yet in no number of COCO's."""
        return sum(metrics.detections for metrics in self.classes if not metrics.boxes)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader of the numbers should know, a sentence each."""
        return tuple(_warnings(self))


def evaluate(
    targets: Sequence[Target],
    detections: Sequence[Detections],
    categories: Sequence[Category],
    max_detections: Sequence[int] = (1, 10, 100),
    by_size: bool = True,
    fast: bool = False,
) -> Evaluation:
    """Score detections by COCO's protocol for boxes.

    Args:
        targets: the truth, one an image; nothing in it is changed.
        detections: what was found, one an image, in the order of `targets`.
        categories: the classes; a label is a place in this sequence.
        max_detections: how many detections of one class in one image count, ascending; AP is at the last.
        by_size: whether small, medium and large boxes get numbers of their own; they take most of the time.
        fast: take the numbers from the twin of pycocotools, which gives the same to the bit; a report does not.

    Raises:
        InputError: a detection is not finite.
        ValueError: the arguments do not fit together.
    """
    _check(targets, detections, max_detections)
    truth = truth_table(targets, len(categories))
    found = detection_table(detections, len(categories))
    scorer = fast_score if fast else score
    scores = scorer(truth, found, image_order(detections), len(categories), max_detections, by_size)
    return Evaluation(
        summary=summarize(scores, max_detections),
        classes=tuple(_class(label, category, truth, found, scores) for label, category in enumerate(categories)),
        images=len(targets),
        empty_images=sum(len(target) == 0 for target in targets),
        past_limit=_past_limit(found, len(categories), max_detections[-1]),
        operating_point=_operating_point(truth, found, scores),
        matched=_matched(truth, found, scores, len(targets)),
        scores=scores,
    )


def match_targets(
    targets: Sequence[Target],
    detections: Sequence[Detections],
    categories: Sequence[Category],
    limit: int,
    by_size: bool = True,
) -> Outcomes:
    """Match once, for `weighted_curves` and `bootstrap`: arguments as those of `evaluate`, `limit` the last of them."""
    _check(targets, detections, [limit])
    truth, found = truth_table(targets, len(categories)), detection_table(detections, len(categories))
    slices = coco_slices(truth, found, by_size)
    return match_detections(truth, found, image_order(detections), len(categories), limit, slices)


def _check(targets: Sequence[Target], detections: Sequence[Detections], max_detections: Sequence[int]) -> None:
    if len(targets) != len(detections):
        raise ValueError(f"need one Detections for each target, got {len(detections)} for {len(targets)}")
    if len({found.image_id for found in detections}) < len(detections):
        raise ValueError("detections name an image twice; merge what was found in it")
    if not max_detections or list(max_detections) != sorted(set(max_detections)) or max_detections[0] < 1:
        raise ValueError(f"max_detections must be ascending and from 1, got {tuple(max_detections)}")


def image_order(detections: Sequence[Detections]) -> list[int]:
    """pycocotools ranks equal scores of different images by image id: so the numbers do not hang on file order."""
    ids = [found.image_id for found in detections]
    return sorted(range(len(ids)), key=lambda image: (isinstance(ids[image], str), ids[image]))


def _class(label: int, category: Category, truth: TruthTable, found: DetectionTable, scores: Scores) -> ClassMetrics:
    precision = scores.precision[:, :, label, 0, -1]  # (T, R)
    mine = truth.labels == label
    return ClassMetrics(
        category=category,
        ap=mean_of_known(precision),
        ap50=mean_of_known(precision[IOU_THRESHOLDS.index(0.5)]),
        ap75=mean_of_known(precision[IOU_THRESHOLDS.index(0.75)]),
        ar=mean_of_known(scores.recall[:, label, 0, -1]),
        images=len(np.unique(truth.images[mine])),
        boxes=int((mine & ~truth.crowd).sum()),
        crowds=int((mine & truth.crowd).sum()),
        detections=int((found.labels == label).sum()),
    )


def _past_limit(found: DetectionTable, classes: int, limit: int) -> int:
    counts = np.bincount(found.images * classes + found.labels)  # per image and class
    return int(np.maximum(counts - limit, 0).sum())


def _operating_point(truth: TruthTable, found: DetectionTable, scores: Scores) -> OperatingPoint | None:
    counts = ~scores.ignored
    return best_f1(found.scores[counts], scores.matched[counts] >= 0, int((~truth.crowd).sum()))


def _matched(truth: TruthTable, found: DetectionTable, scores: Scores, images: int) -> tuple[IntArray, ...]:
    """Split the matches by image, with rows counted within the image."""
    first_row = np.searchsorted(truth.images, found.images)
    rows = np.where(scores.matched >= 0, scores.matched - first_row, -1)
    rows[scores.ignored] = -2
    return tuple(np.split(rows, np.searchsorted(found.images, np.arange(1, images)))[:images])


def _warnings(evaluation: Evaluation) -> Iterator[str]:
    limit, past, unscored = evaluation.summary.max_detections[-1], evaluation.past_limit, evaluation.unscored_detections
    if past:
        yield f"{_detections(past)} beyond the first {limit} of a class in an image: left out, as COCO's protocol does"
    if unscored:
        yield f"{_detections(unscored)} of classes without a box to find: false, but in no number"
    if not evaluation.boxes:
        yield "there is no box to find, so there is no AP"
    elif not evaluation.detections:
        yield "there are no detections, so every number is 0"


def _detections(count: int) -> str:
    return f"{count:,} detection{'s' * (count != 1)}"
