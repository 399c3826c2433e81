"""Run all parts of an analysis on the same matches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from anchorloc.metrics.analysis.anchors import AnchorUsage, ShapeContribution, shape_contributions
from anchorloc.metrics.analysis.confusion import Confusion, confusion
from anchorloc.metrics.analysis.curves import Calibration, ClassCurve, Froc, calibration, class_curves, froc
from anchorloc.metrics.analysis.error_types import Errors, find_errors
from anchorloc.metrics.analysis.image_scores import BoxQuality, ImageScore, box_quality, image_scores
from anchorloc.metrics.analysis.matched import MatchedDetections
from anchorloc.metrics.analysis.nearest_boxes import nearest_boxes
from anchorloc.metrics.analysis.slices import SliceScore, slice_scores
from anchorloc.metrics.box_tables import detection_table, truth_table
from anchorloc.metrics.coco_evaluation import image_order
from anchorloc.metrics.matching import MatchGroups, MatchResult, coco_slices, group_detections, match_groups
from anchorloc.metrics.protocol import COCO, Protocol
from anchorloc.metrics.resampling import Bootstrap, bootstrap
from anchorloc.structures import Category, Detections, IntArray, Target


@dataclass(frozen=True, eq=False)
class AnalysisOptions:
    """What an analysis looks at beside ground truth and detections."""

    min_precision: float | None = None  # recommend thresholds that reach it; best F1 without
    sizes: IntArray | None = None  # (N, 2) height and width of the images
    anchor_usage: AnchorUsage | None = None
    resamples: int = 0  # bootstrap resamples over images
    seed: int = 0
    threads: int = 1
    protocol: Protocol = COCO  # the bootstrap is about its scores; all else is by COCO's
    groups: IntArray | None = None  # (N,) as for `bootstrap`


@dataclass(frozen=True, eq=False)
class Analysis:
    """Why the numbers are what they are. "The score threshold" is the threshold of best F1 over all classes."""

    threshold: float | None  # None without a true positive, or with one score alone: then all detections count
    min_precision: float | None  # as in AnalysisOptions
    overall_curve: ClassCurve
    classes: tuple[ClassCurve, ...]
    froc: Froc | None
    errors: Errors
    confusion: Confusion
    calibration: Calibration | None
    slices: tuple[SliceScore, ...]
    box_quality: BoxQuality
    images: tuple[ImageScore, ...]
    shapes: tuple[ShapeContribution, ...]  # empty where the anchors of the detections are unknown
    bootstrap: Bootstrap | None


def analyze(
    targets: Sequence[Target],
    detections: Sequence[Detections],
    categories: Sequence[Category],
    max_detections: Sequence[int] = (1, 10, 100),
    options: AnalysisOptions | None = None,
) -> Analysis:
    """Analyze what `evaluate` scores; the arguments are the same."""
    options = options or AnalysisOptions()
    truth, found = truth_table(targets, len(categories)), detection_table(detections, len(categories))
    order = image_order(detections)
    slices = coco_slices(truth, found, by_size=options.resamples > 0 and options.protocol == COCO)
    groups = group_detections(truth, found, order, len(categories), max_detections[-1])
    match_result = match_groups(groups, slices)
    matched = MatchedDetections(truth, found, groups, match_result, tuple(order), tuple(categories))
    nearest = nearest_boxes(matched)
    overall, *classes = class_curves(matched, options.min_precision)
    threshold = None if overall.best is None else overall.best.threshold
    errors = find_errors(matched, nearest, threshold)
    usage = options.anchor_usage
    return Analysis(
        threshold=threshold,
        min_precision=options.min_precision,
        overall_curve=overall,
        classes=tuple(classes),
        froc=froc(matched),
        errors=errors,
        confusion=confusion(matched, errors),
        calibration=calibration(matched),
        slices=slice_scores(matched, nearest, options.sizes),
        box_quality=box_quality(matched, nearest, errors),
        images=image_scores(matched, errors),
        shapes=() if usage is None else tuple(shape_contributions(matched, nearest, usage, errors.kept)),
        bootstrap=_bootstrap(groups, match_result, max_detections, options) if options.resamples else None,
    )


def _bootstrap(
    groups: MatchGroups, match_result: MatchResult, max_detections: Sequence[int], options: AnalysisOptions
) -> Bootstrap:
    """Resample the scores of the protocol, which `match_result` has if it is COCO's."""
    protocol = options.protocol
    if protocol != COCO:
        slices = coco_slices(groups.truth, groups.detections, protocol=protocol)
        match_result = match_groups(groups, slices, protocol.ious)
    resampling = (options.resamples, options.seed, options.threads)
    return bootstrap(match_result, max_detections, *resampling, protocol, options.groups)
