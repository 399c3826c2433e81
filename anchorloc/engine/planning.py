"""Plan a run: measure the speed of training, find out whether weights can be had, and fit the anchors."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from anchorloc.anchors import AnchorGenerator
from anchorloc.config import Config
from anchorloc.data import AnnotationSubset, Letterbox, Source
from anchorloc.data.tiles import Tiles
from anchorloc.detector import TorchvisionBackbone
from anchorloc.engine.build import pick_device
from anchorloc.engine.learner import Learner
from anchorloc.engine.system.processes import SINGLE_PROCESS
from anchorloc.errors import InputError
from anchorloc.lab.fit import FitSettings, fit_anchors
from anchorloc.lab.fit.fit_split import FitSplit
from anchorloc.plan import NETWORK, Facts, Machine, Plan, PlanRequest, fingerprint, make_plan, this_machine, value_at

TRIAL_SIDE = 256  # pixels: training is timed on square images of this side
TRIAL_STEPS = 3  # after one to warm up
STEP_SHARE = 0.8  # steps take this fraction of a run; validation, reading and checkpoints take the rest
FITTED_TO = 0.8  # share of the train images that anchors are fitted to; the rest scores them
LEAST_FITTED = 20  # boxes: a fit to fewer does not carry over to other boxes


def plan_run(request: PlanRequest, train: Source, val: Source, warn: Callable[[str], None], processes: int = 1) -> Plan:
    """Return the plan of a run on a data set and this machine, in so many processes.

    Raises:
        InputError: a given setting is wrong, or contradicts a choice.
    """
    config = request.config
    machine, speed = _machine(config.train.device), _TrainingSpeed(train)
    facts = Facts(
        data=fingerprint(train, val),
        machine=machine,
        seconds=_seconds(config),
        pretrained=_can_be_had(request, machine, warn),
        images_per_second=speed,
        fit=partial(_fitted, train),
        processes=processes,
    )

    def on_tiles(tiles: Tiles) -> Facts:
        cut = tiles(train)
        data = replace(fingerprint(cut, tiles.cover(val)), most_boxes=facts.data.most_boxes)  # in a whole image
        return replace(facts, data=data, images_per_second=replace(speed, source=cut), fit=partial(_fitted, cut))

    return make_plan(request, replace(facts, on_tiles=on_tiles))


def _machine(name: str) -> Machine:
    device = pick_device(name)
    memory = torch.cuda.get_device_properties(device).total_memory if device.type == "cuda" else 0
    return this_machine(device.type, memory)  # type: ignore[arg-type]


def _seconds(config: Config) -> float | None:
    number, unit = config.train.length_and_unit
    return STEP_SHARE * 60 * number if unit == "minute" else None


@dataclass
class _TrainingSpeed:
    """The images a second that a network trains on: timed on small images, scaled to the pixels of a config."""

    source: Source
    seconds: dict[Any, float] = field(default_factory=dict)  # per image and pixel, by network

    def __call__(self, config: Config) -> float:
        key = (config.detector, config.train.optimizer, config.anchors.shapes_per_level)
        if key not in self.seconds:
            self.seconds[key] = _seconds_per_pixel(config, self.source)
        sizes = [self.source.size(index) for index in range(0, len(self.source), max(1, len(self.source) // 200))]
        padded = [config.padded(config.transform.resize(size)[0]) for size in sizes]
        return 1 / (self.seconds[key] * float(np.mean([height * width for height, width in padded])))


def _seconds_per_pixel(config: Config, source: Source) -> float:
    """Return the seconds of training per pixel of an image; a step is timed without the loader."""
    small = replace(config, transform=replace(config.transform, resize=Letterbox(TRIAL_SIDE, TRIAL_SIDE)))
    learner = Learner(small, source.categories, SINGLE_PROCESS, pretrained=False)
    samples = small.samples(source, training=True)
    count = min(len(source), small.train.batch_size)
    batch = small.method.collate()([samples[0, index] for index in range(count)])
    learner.update([batch], 0.0)
    start = time.perf_counter()
    for _ in range(TRIAL_STEPS):
        learner.update([batch], 0.0)
    height, width = batch.size
    return (time.perf_counter() - start) / (TRIAL_STEPS * count * height * width)


def _can_be_had(request: PlanRequest, machine: Machine, warn: Callable[[str], None]) -> bool:
    """Return whether a pretrained network can be loaded; warn with the reason if not.

    Raises:
        InputError: the user named a network or weights, and they cannot be loaded.
    """
    if request.config.detector.weights:
        return True
    backbone, given = request.config.detector.backbone, value_at(request.settings, "detector.backbone")
    if not isinstance(backbone, TorchvisionBackbone) or backbone.weights == "none":
        return False
    if not isinstance(given, Mapping) or "name" not in given:
        backbone = replace(backbone, name=NETWORK[machine.device])
    try:
        backbone(pretrained=True)
    except InputError as error:
        if given is not None:
            raise
        warn(f"{error}; a small network starts from random weights, which needs thousands of images")
        return False
    return True


def _fitted(train: Source, config: Config) -> AnchorGenerator | None:
    """Return anchors fitted to most of the train images, or None if they find no more of the boxes of the rest."""
    if not isinstance(config.anchors, AnchorGenerator):
        return None
    order = np.random.default_rng(0).permutation(len(train))
    count = round(FITTED_TO * len(train))
    kept, rest = (AnnotationSubset(train, np.sort(part)) for part in (order[:count], order[count:]))
    if min(_boxes(kept), _boxes(rest)) < LEAST_FITTED:
        return None
    fit = fit_anchors(config, FitSplit(kept, rest, "train images held out"), FitSettings(restarts=2, resamples=0))
    return fit.anchors if fit.gain.value > 0 and not fit.gain.within_noise else None


def _boxes(source: AnnotationSubset) -> int:
    return sum(len(source.training_target(index)) for index in range(len(source)))
