"""From a config and its data to anchors that fit it, and the evidence."""

from __future__ import annotations

import os
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
from anchorloc.lab.anchor_coverage import mean_recall
from anchorloc.lab.ceiling import ceiling
from anchorloc.lab.fit.box_offsets import Float32Array, Sites, sites_of
from anchorloc.lab.fit.fit_split import Parts
from anchorloc.lab.fit.iou_utility import curve_of
from anchorloc.lab.fit.level_limits import LevelRule, Room
from anchorloc.lab.fit.scoring import Gain, Score, Spread, gain_of, score, spread_of
from anchorloc.lab.fit.search import Layout, Problem, layout_of, search
from anchorloc.lab.fit.selection import Judge, choose
from anchorloc.lab.fit.shared_scales import search_ladder
from anchorloc.lab.network_views import Views
from anchorloc.structures import Category

Form = Literal["shapes", "scales"]
WeightBy = Literal["boxes", "classes"]

ENOUGH_BOXES = 20_000  # to meet: a small data set is passed over until there are as many
MOST_PASSES = 32
MOST_SEARCHED = 12_000  # boxes that the search looks at; scores are of all
LEAST = {"shapes": 1, "anchors": 1, "passes": 1, "restarts": 1, "resamples": 0, "seed": 0}
MOST_THREADS = 4  # each search takes some 40 MB


@dataclass(frozen=True)
class FitSettings:
    """What is asked for."""

    form: Form = "shapes"  # a list for every level, or scales and ratios that all share
    shapes: int | None = None  # of a cell on every level; None has as many as the config
    anchors: float | None = None  # in the mean image, spread over the levels as is best; None goes by `shapes`
    weight_by: WeightBy = "boxes"  # what counts alike
    passes: int | None = None  # augmented passes over the train images; None decides by the number of boxes
    restarts: int = 4
    resamples: int = 4  # of the train images, to see how much they matter
    seed: int = 0

    def __post_init__(self) -> None:
        for name, choices in (("form", get_args(Form)), ("weight_by", get_args(WeightBy))):
            if getattr(self, name) not in choices:
                raise InputError(f"--{name} must be one of {', '.join(choices)}, got {getattr(self, name)!r}")
        for name, least in LEAST.items():
            value = getattr(self, name)
            if value is not None and not value >= least:
                raise InputError(f"--{name} must be at least {least}, got {value}")
        if self.shapes is not None and self.anchors is not None:
            raise InputError("--shapes and --anchors both say how many; give one of them")
        if self.anchors is not None and self.form == "scales":
            raise InputError("--anchors gives levels different numbers of shapes, which --form scales cannot; "
                             "give --shapes, or --form shapes")  # fmt: skip


@dataclass(frozen=True, eq=False)
class Fit:
    """Anchors that were fitted, beside those of the config."""

    config: Config  # with the fitted anchors
    anchors: AnchorGenerator  # these
    own: Score
    fitted: Score
    gain: Gain
    unmoved_ap50: tuple[float | None, float | None]  # held-out AP50 of own and fitted anchors that stay where they are
    augmented: tuple[float, float] | None  # held-out recall, own and fitted, of boxes augmented as in training
    restarts: Spread
    resamples: Spread | None
    rule: LevelRule
    categories: tuple[Category, ...]
    held_out: str  # what it was scored on
    images: int  # fitted to
    passes: int  # over them, augmented; 0 is one as in evaluation
    boxes: int  # met in them
    searched: int


def fit(config: Config, parts: Parts, settings: FitSettings) -> Fit:
    """Fit anchors to `parts.train`, under the transforms and the assigner of `config`, and score them on the rest.

    Raises:
        InputError: there is no box, or the settings ask for what cannot be.
    """
    own_anchors = config.anchors
    if not isinstance(own_anchors, AnchorGenerator):
        kind = type(own_anchors).__name__
        raise InputError(
            f"anchors.kind={kind} has the shapes that its weights are made for; fit a config with anchors of its own, "
            "as with anchors.kind=AnchorGenerator"
        )
    passes = _passes(config, parts.train, settings)
    met = sites_of(Views(config, parts.train, passes))
    if not len(met):
        raise InputError("no box of the train images is left to fit anchors to; check the data and the transform")
    problem = _problem(config, met, settings)
    chosen = choose(problem, Judge.of(config, parts.train, passes, settings.seed), partial(_restarts, settings))
    fitted = replace(config, anchors=chosen.anchors)
    views = Views(config, parts.held_out)
    held_out, before, after = sites_of(views), score(views, config), score(views, fitted)
    return Fit(
        config=fitted,
        anchors=chosen.anchors,
        own=before,
        fitted=after,
        gain=gain_of(after, before, settings.seed),
        unmoved_ap50=(_unmoved_ap50(views), _unmoved_ap50(replace(views, config=fitted))),
        augmented=_augmented(Views(config, parts.held_out, min(passes, 8)), own_anchors, chosen.anchors),
        restarts=_spread(chosen.restarts, held_out),
        resamples=_spread(_resamples(settings, chosen.problem), held_out) if settings.resamples else None,
        rule=problem.rule,
        categories=parts.held_out.categories,
        held_out=parts.source,
        images=len(parts.train),
        passes=passes,
        boxes=len(met),
        searched=len(problem.sites),
    )


def _passes(config: Config, train: Annotations, settings: FitSettings) -> int:
    if not config.transform.augment.moves_boxes:
        return 0
    if settings.passes is not None:
        return settings.passes
    boxes = sum(len(train.training_target(index)) for index in range(len(train)))
    return min(MOST_PASSES, max(1, round(ENOUGH_BOXES / max(1, boxes))))


def _problem(config: Config, met: Sites, settings: FitSettings) -> Problem:
    sites = _thinned(met, settings.seed)
    rule, room = LevelRule(config.anchors.strides), _room(config, met, settings)
    return Problem(sites, _weights(sites, settings.weight_by), curve_of(config.initial_assigner), rule, room)


def _thinned(sites: Sites, seed: int) -> Sites:
    if len(sites) <= MOST_SEARCHED:
        return sites
    rows = np.random.default_rng((seed, 3)).permutation(len(sites))[:MOST_SEARCHED]
    return sites.take(np.sort(rows))


def _weights(sites: Sites, weight_by: WeightBy) -> Float32Array:
    """(N,) of the boxes: 1, or so much that all classes weigh the same; 1 in the mean."""
    if weight_by == "boxes":
        return np.ones(len(sites), np.float32)
    counts = np.bincount(sites.labels)
    return np.asarray(len(sites) / (counts > 0).sum() / counts[sites.labels], np.float32)


def _room(config: Config, sites: Sites, settings: FitSettings) -> Room:
    counts = np.array(config.anchors.shapes_per_level)
    if settings.anchors is not None:
        if settings.anchors < sites.cells.sum():
            raise InputError(
                f"--anchors {settings.anchors:g} is too few: one shape a level makes {sites.cells.sum():,.0f} anchors "
                "in the mean image; give more, or leave out fine strides"
            )
        return Room(sites.cells, np.full(len(counts), len(sites)), settings.anchors)
    if settings.shapes is None and settings.form == "scales" and len(set(counts.tolist())) > 1:
        raise InputError(
            f"the levels of the config have {counts.tolist()} shapes, which --form scales cannot; give --shapes"
        )
    return Room(sites.cells, counts if settings.shapes is None else np.full(len(counts), settings.shapes))


def _resampled(problem: Problem, seed: tuple[int, ...]) -> Problem:
    """Draw the images anew, each as often as it comes."""
    images = problem.sites.images
    known = np.unique(images)
    drawn = np.random.default_rng((*seed, 1)).choice(known, len(known))
    times = np.bincount(drawn, minlength=int(known[-1]) + 1)[images]
    return replace(problem, weights=problem.weights * times.astype(np.float32))


def _search(problem: Problem, form: Form, seed: tuple[int, ...]) -> Callable[[], AnchorGenerator]:
    strides = problem.rule.strides

    def run() -> AnchorGenerator:
        random = np.random.default_rng(seed)
        if form == "scales":
            scales, ratios = search_ladder(problem, random).rounded()
            return AnchorGenerator(strides, scales, ratios)
        return AnchorGenerator(strides, shapes=search(problem, random).per_level(len(strides)))

    return run


def _restarts(settings: FitSettings, problem: Problem) -> tuple[AnchorGenerator, ...]:
    seeds = [(settings.seed, 2, run) for run in range(settings.restarts)]
    return _in_threads([_search(problem, settings.form, seed) for seed in seeds])


def _resamples(settings: FitSettings, problem: Problem) -> tuple[AnchorGenerator, ...]:
    seeds = [(settings.seed, 2, settings.restarts + run) for run in range(settings.resamples)]
    return _in_threads([_search(_resampled(problem, seed), settings.form, seed) for seed in seeds])


def _in_threads(jobs: list[Callable[[], AnchorGenerator]]) -> tuple[AnchorGenerator, ...]:
    with ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1)) as pool:
        return tuple(pool.map(lambda job: job(), jobs))


def _spread(found: Sequence[AnchorGenerator], held_out: Sites) -> Spread:
    return spread_of([layout_of(anchors.level_shapes) for anchors in found], held_out)


def _unmoved_ap50(views: Views) -> float | None:
    return ceiling(views).unmoved.summary.ap50


def _augmented(views: Views, own: AnchorGenerator, best: AnchorGenerator) -> tuple[float, float] | None:
    if not views.epochs:
        return None
    sites = sites_of(views)
    layouts: list[Layout] = [layout_of(one.level_shapes) for one in (own, best)]
    before, after = (mean_recall(sites.best_iou(layout.levels, layout.shapes)) for layout in layouts)
    return before, after
