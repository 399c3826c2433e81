"""All parts of an analysis, from the same matches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from anchorloc.metrics.analysis.anchors import AnchorWork, ShapeYield, shape_yields
from anchorloc.metrics.analysis.calibration import Calibration, calibration
from anchorloc.metrics.analysis.confusion import Confusion, confusion
from anchorloc.metrics.analysis.curves import ClassCurve, Froc, class_curves, froc
from anchorloc.metrics.analysis.errors import Errors, find_errors
from anchorloc.metrics.analysis.images import ImageScore, Localization, image_scores, localization
from anchorloc.metrics.analysis.matched import Case
from anchorloc.metrics.analysis.nearest import nearest
from anchorloc.metrics.analysis.slices import SliceScore, slice_scores
from anchorloc.metrics.bootstrap import Bootstrap, bootstrap
from anchorloc.metrics.box_tables import detection_table, truth_table
from anchorloc.metrics.evaluation import image_order
from anchorloc.metrics.matching import coco_slices, match_detections
from anchorloc.structures import Category, Detections, IntArray, Target


@dataclass(frozen=True, eq=False)
class Demands:
    """What to look into beyond what truth and detections alone tell."""

    precision: float | None = None  # that the recommended threshold of a class must keep; best F1 without
    sizes: IntArray | None = None  # (N, 2) height and width of the images
    work: AnchorWork | None = None
    resamples: int = 0
    seed: int = 0
    threads: int = 1


@dataclass(frozen=True, eq=False)
class Analysis:
    """Why the numbers are what they are. "The score threshold" is that of the best F1 over all classes."""

    threshold: float | None  # None where nothing is right: then every detection is looked at
    precision: float | None  # as demanded
    everything: ClassCurve
    classes: tuple[ClassCurve, ...]
    froc: Froc | None
    errors: Errors
    confusion: Confusion
    calibration: Calibration | None
    slices: tuple[SliceScore, ...]
    localization: Localization
    images: tuple[ImageScore, ...]
    yields: tuple[ShapeYield, ...]  # none where detections do not know their anchors
    bootstrap: Bootstrap | None


def analyze(
    targets: Sequence[Target],
    detections: Sequence[Detections],
    categories: Sequence[Category],
    max_detections: Sequence[int] = (1, 10, 100),
    demands: Demands | None = None,
) -> Analysis:
    """Look into what `evaluate` scores, with the same arguments."""
    demands = demands or Demands()
    truth, found = truth_table(targets, len(categories)), detection_table(detections, len(categories))
    order = image_order(detections)
    slices = coco_slices(truth, found, by_size=demands.resamples > 0)
    outcomes = match_detections(truth, found, order, len(categories), max_detections[-1], slices)
    case = Case(truth, found, outcomes, tuple(order), tuple(categories))
    near = nearest(case)
    everything, *classes = class_curves(case, demands.precision)
    threshold = None if everything.best is None else everything.best.threshold
    errors = find_errors(case, near, threshold)
    resampling = (max_detections, demands.resamples, demands.seed, demands.threads)
    return Analysis(
        threshold=threshold,
        precision=demands.precision,
        everything=everything,
        classes=tuple(classes),
        froc=froc(case),
        errors=errors,
        confusion=confusion(case, errors),
        calibration=calibration(case),
        slices=slice_scores(case, near, demands.sizes),
        localization=localization(case, near, errors),
        images=image_scores(case, errors),
        yields=() if demands.work is None else tuple(shape_yields(case, near, demands.work, errors.kept)),
        bootstrap=bootstrap(outcomes, *resampling) if demands.resamples else None,
    )
