"""Fit anchors to a data set, and measure on held-out images what the fit gains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, get_args

import numpy as np

from anchorloc.anchors import AnchorGenerator
from anchorloc.config import Config
from anchorloc.data import Annotations
from anchorloc.errors import InputError
from anchorloc.lab.anchor_coverage import AnchorCoverage, coverage_with, mean_recall
from anchorloc.lab.ceiling import ceiling
from anchorloc.lab.fit.box_offsets import BoxOffsets, collect_offsets
from anchorloc.lab.fit.fit_split import FitSplit
from anchorloc.lab.fit.level_limits import LevelSizeRange, ShapeBudget
from anchorloc.lab.fit.scoring import FitSpread, RecallGain, fit_spread, recall_gain
from anchorloc.lab.fit.search import ShapeSearch, ShapeSet, search_shapes, utility_curve
from anchorloc.lab.fit.selection import ClassGuard, select_anchors
from anchorloc.lab.fit.shared_scales import search_scales
from anchorloc.lab.network_views import NetworkViews
from anchorloc.startup import allowed_cores
from anchorloc.structures import Category, Float32Array

Form = Literal["shapes", "scales"]
WeightBy = Literal["boxes", "classes"]

ENOUGH_BOXES = 20_000  # a small data set is augmented in several passes, until it gives this many
MAX_PASSES = 32
MAX_SEARCHED = 12_000  # boxes in the search; scores are of all boxes
MINIMA = {"shapes": 1, "anchors": 1, "passes": 1, "restarts": 1, "resamples": 0, "seed": 0}
MAX_SEARCH_THREADS = 4  # a search takes about 40 MB


@dataclass(frozen=True)
class FitSettings:
    """How anchors are fitted; the options of `anchorloc lab fit`."""

    form: Form = "shapes"  # a list of shapes for every level, or scales and ratios that all levels share
    shapes: int | None = None  # per cell on every level; None takes the number from the config
    anchors: float | None = None  # in the mean image, over all levels; None goes by `shapes`
    weight_by: WeightBy = "boxes"  # weight every box or every class equally
    passes: int | None = None  # augmented passes over the train images; None goes by the number of boxes
    restarts: int = 4
    resamples: int = 4  # bootstrap resamples of the train images
    seed: int = 0

    def __post_init__(self) -> None:
        for name, choices in (("form", get_args(Form)), ("weight_by", get_args(WeightBy))):
            if getattr(self, name) not in choices:
                option = name.replace("_", "-")
                raise InputError(f"--{option} must be one of {', '.join(choices)}, got {getattr(self, name)!r}")
        for name, least in MINIMA.items():
            value = getattr(self, name)
            if value is not None and not value >= least:
                raise InputError(f"--{name} must be at least {least}, got {value}")
        if self.shapes is not None and self.anchors is not None:
            raise InputError("--shapes and --anchors both set the number of anchors; give one of them")
        if self.anchors is not None and self.form == "scales":
            raise InputError("--anchors gives levels different numbers of shapes, which --form scales cannot; "
                             "give --shapes, or --form shapes")  # fmt: skip


@dataclass(frozen=True, eq=False)
class Fit:
    """Fitted anchors, and how they compare with the current anchors of the config."""

    config: Config  # with the fitted anchors
    anchors: AnchorGenerator
    current: AnchorCoverage  # on the held-out images
    fitted: AnchorCoverage  # on the held-out images
    gain: RecallGain
    anchors_only_ap50: tuple[float | None, float | None]  # held-out AP50 of current and fitted anchors that do not move
    augmented: tuple[float, float] | None  # held-out mean recall of current and fitted, boxes augmented as in training
    restarts: FitSpread
    resamples: FitSpread | None
    sizes: LevelSizeRange
    categories: tuple[Category, ...]
    held_out: str  # name of the held-out images
    images: int  # train images that were fitted to
    sampled: bool  # whether there are more train images
    passes: int  # augmented, over the train images; 0 is one pass without augmentation
    boxes: int  # in all passes
    searched: int  # boxes that the search used


def fit_anchors(config: Config, split: FitSplit, settings: FitSettings) -> Fit:
    """Fit anchors to `split.train`, as `config` transforms and assigns its boxes, and score them on held-out images.

    Raises:
        InputError: there is no box, or the settings cannot be met.
    """
    current_anchors = config.anchors
    if not isinstance(current_anchors, AnchorGenerator):
        kind = type(current_anchors).__name__
        raise InputError(
            f"anchors.kind={kind} has shapes that cannot be fitted; fit a config with anchors.kind=AnchorGenerator"
        )
    passes = _passes(config, split.train, settings)
    boxes = collect_offsets(NetworkViews(config, split.train, passes))
    if not len(boxes):
        raise InputError("the train images have no box to fit anchors to; check the data and the transform")
    search = _problem(config, boxes, settings)
    guard = ClassGuard.draw_images(config, split.train, passes, settings.seed)
    anchors, weighted, restarts = select_anchors(search, guard, partial(_restarts, settings))
    fitted = replace(config, anchors=anchors)
    views = NetworkViews(config, split.held_out)
    held_out, before, after = collect_offsets(views), coverage_with(views, config), coverage_with(views, fitted)
    return Fit(
        config=fitted,
        anchors=anchors,
        current=before,
        fitted=after,
        gain=recall_gain(after, before, settings.seed),
        anchors_only_ap50=(_anchors_only_ap50(views), _anchors_only_ap50(replace(views, config=fitted))),
        augmented=_augmented(NetworkViews(config, split.held_out, min(passes, 8)), current_anchors, anchors),
        restarts=_spread(restarts, held_out),
        resamples=_spread(_resamples(settings, weighted), held_out) if settings.resamples else None,
        sizes=search.sizes,
        categories=split.held_out.categories,
        held_out=split.held_out_name,
        images=len(split.train),
        sampled=split.sampled,
        passes=passes,
        boxes=len(boxes),
        searched=len(search.boxes),
    )


def _passes(config: Config, train: Annotations, settings: FitSettings) -> int:
    if not config.transform.augment.moves_boxes:
        return 0
    if settings.passes is not None:
        return settings.passes
    boxes = sum(len(train.training_target(index)) for index in range(len(train)))
    return min(MAX_PASSES, max(1, round(ENOUGH_BOXES / max(1, boxes))))


def _problem(config: Config, boxes: BoxOffsets, settings: FitSettings) -> ShapeSearch:
    searched = _subsample(boxes, settings.seed)
    weights, curve = _weights(searched, settings.weight_by), utility_curve(config.assign)
    return ShapeSearch(
        searched, weights, curve, LevelSizeRange(config.anchors.strides), _budget(config, boxes, settings)
    )


def _subsample(boxes: BoxOffsets, seed: int) -> BoxOffsets:
    if len(boxes) <= MAX_SEARCHED:
        return boxes
    rows = np.random.default_rng((seed, 3)).permutation(len(boxes))[:MAX_SEARCHED]
    return boxes.take(np.sort(rows))


def _weights(boxes: BoxOffsets, weight_by: WeightBy) -> Float32Array:
    """Return the weight of each box (N,), with mean 1."""
    if weight_by == "boxes":
        return np.ones(len(boxes), np.float32)
    counts = np.bincount(boxes.labels)
    return np.asarray(len(boxes) / (counts > 0).sum() / counts[boxes.labels], np.float32)


def _budget(config: Config, boxes: BoxOffsets, settings: FitSettings) -> ShapeBudget:
    counts = np.array(config.anchors.shapes_per_level)
    if settings.anchors is not None:
        if settings.anchors < boxes.cells.sum():
            raise InputError(
                f"--anchors {settings.anchors:g} is too few: one shape a level makes {boxes.cells.sum():,.0f} anchors "
                "in the mean image; give more, or remove fine levels from anchors.strides"
            )
        return ShapeBudget(boxes.cells, np.full(len(counts), len(boxes)), settings.anchors)
    if settings.shapes is None and settings.form == "scales" and len(set(counts.tolist())) > 1:
        raise InputError(
            f"the levels of the config have {counts.tolist()} shapes, but --form scales needs one number; give --shapes"
        )
    return ShapeBudget(boxes.cells, counts if settings.shapes is None else np.full(len(counts), settings.shapes))


def _resampled(search: ShapeSearch, seed: tuple[int, ...]) -> ShapeSearch:
    """Return a bootstrap resample of the images: the weight of a box grows with how often its image is drawn."""
    images = search.boxes.images
    known = np.unique(images)
    drawn = np.random.default_rng((*seed, 1)).choice(known, len(known))
    times = np.bincount(drawn, minlength=int(known[-1]) + 1)[images]
    return replace(search, weights=search.weights * times.astype(np.float32))


def _search_job(search: ShapeSearch, form: Form, seed: tuple[int, ...]) -> Callable[[], AnchorGenerator]:
    strides = search.sizes.strides

    def run() -> AnchorGenerator:
        random = np.random.default_rng(seed)
        if form == "scales":
            scales, ratios = search_scales(search, random).rounded()
            return AnchorGenerator(strides, scales, ratios)
        return AnchorGenerator(strides, shapes=search_shapes(search, random).per_level(len(strides)))

    return run


def _restarts(settings: FitSettings, search: ShapeSearch) -> tuple[AnchorGenerator, ...]:
    seeds = [(settings.seed, 2, run) for run in range(settings.restarts)]
    return _in_threads([_search_job(search, settings.form, seed) for seed in seeds])


def _resamples(settings: FitSettings, search: ShapeSearch) -> tuple[AnchorGenerator, ...]:
    seeds = [(settings.seed, 2, settings.restarts + run) for run in range(settings.resamples)]
    return _in_threads([_search_job(_resampled(search, seed), settings.form, seed) for seed in seeds])


def _in_threads(jobs: list[Callable[[], AnchorGenerator]]) -> tuple[AnchorGenerator, ...]:
    with ThreadPoolExecutor(min(MAX_SEARCH_THREADS, allowed_cores())) as pool:
        return tuple(pool.map(lambda job: job(), jobs))


def _spread(found: Sequence[AnchorGenerator], held_out: BoxOffsets) -> FitSpread:
    return fit_spread([ShapeSet.from_levels(anchors.level_shapes) for anchors in found], held_out)


def _anchors_only_ap50(views: NetworkViews) -> float | None:
    return ceiling(views).anchors_only.summary.ap50


def _augmented(views: NetworkViews, current: AnchorGenerator, fitted: AnchorGenerator) -> tuple[float, float] | None:
    if not views.epochs:
        return None
    boxes = collect_offsets(views)
    sets = [ShapeSet.from_levels(anchors.level_shapes) for anchors in (current, fitted)]
    before, after = (mean_recall(boxes.best_iou(one.levels, one.shapes)) for one in sets)
    return before, after
