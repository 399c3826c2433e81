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

TRIAL_SIDE, SMALL_SIDE = 256, 128  # pixels: training is timed on square images of these sides
FEW = 2  # images in the smaller trial: batch normalization needs more than one value
TRIAL_STEPS = 4  # the fastest counts: the first are slower on a machine that has done nothing yet
STEP_SHARE = 0.8  # steps take this fraction of a run; validation, reading and checkpoints take the rest
FITTED_TO = 0.8  # share of the train images that anchors are fitted to; the rest scores them
LEAST_FITTED = 20  # boxes: a fit to fewer does not carry over to other boxes


def plan_run(request: PlanRequest, train: Source, val: Source, warn: Callable[[str], None], processes: int = 1) -> Plan:
    """Return the plan of a run on a data set and this machine, in so many processes.

    Raises:
        InputError: a given setting is wrong, or contradicts a choice.
    """
    config = request.config
    machine = _machine(config.train.device)
    step_seconds = StepSeconds(train, machine, processes)
    facts = Facts(
        data=fingerprint(train, val),
        machine=machine,
        seconds=_seconds(config),
        pretrained=_can_be_had(request, machine, warn),
        step_seconds=step_seconds,
        fit=partial(_fitted, train),
        processes=processes,
    )

    def on_tiles(tiles: Tiles) -> Facts:
        cut = tiles(train)
        data = replace(fingerprint(cut, tiles.cover(val)), most_boxes=facts.data.most_boxes)  # in a whole image
        return replace(facts, data=data, step_seconds=replace(step_seconds, source=cut), fit=partial(_fitted, cut))

    return make_plan(request, replace(facts, on_tiles=on_tiles))


def _machine(name: str) -> Machine:
    device = pick_device(name)
    memory = torch.cuda.get_device_properties(device).total_memory if device.type == "cuda" else 0
    return this_machine(device.type, memory)  # type: ignore[arg-type]


def _seconds(config: Config) -> float | None:
    number, unit = config.train.length_and_unit
    return STEP_SHARE * 60 * number if unit == "minute" else None


@dataclass
class StepSeconds:
    """The seconds that a network takes for a training step in each of the `processes`.

    A part is the same for every step, half of it for the optimizer, and a part grows with the pixels of the batch. The
    two are separated by steps with few small images and with a batch of larger ones. Reading images takes its share of
    the cores of a CPU; beside a GPU it takes time only where a step waits for it.
    """

    source: Source
    machine: Machine
    processes: int
    known: dict[Any, _StepTimes] = field(default_factory=dict)  # by network

    def __call__(self, config: Config) -> float:
        key = (config.detector, config.train.optimizer)
        if key not in self.known:
            self.known[key] = _timed(config, self.source)
        times = self.known[key]
        sizes = [self.source.size(index) for index in range(0, len(self.source), max(1, len(self.source) // 200))]
        padded = [config.padded(config.transform.resize(size)[0]) for size in sizes]
        count = config.train.batch_size / self.processes
        computing = times.fixed + count * times.pixel * float(np.mean([height * width for height, width in padded]))
        reading = count * times.reading * self.processes / self.machine.cores
        return max(computing, reading) if self.machine.device == "cuda" else computing + reading


@dataclass(frozen=True)
class _StepTimes:
    """Seconds: of a step without images, of each pixel of the input, and of a core for each image that it reads."""

    fixed: float
    pixel: float
    reading: float


def _timed(config: Config, source: Source) -> _StepTimes:
    """Time steps with few small images and with a batch; neither waits for the loader."""
    few = trial(config, source, SMALL_SIDE, FEW)
    many = trial(config, source, TRIAL_SIDE, max(FEW, config.train.batch_size))
    pixel = max(0.0, many.step - few.step) / (many.pixels - few.pixels)
    return _StepTimes(max(0.0, few.step - pixel * few.pixels), pixel, many.reading)


@dataclass(frozen=True)
class Trial:
    """What a step with some images took, and reading them."""

    step: float  # seconds
    pixels: int  # in the whole batch
    reading: float  # seconds an image


def trial(config: Config, source: Source, side: int, count: int) -> Trial:
    """Time reading `count` images, resized to squares, and a step with them.

    Images are read again where the source has fewer.
    """
    small = replace(config, transform=replace(config.transform, resize=Letterbox(side, side)))
    learner = Learner(small, source.categories, SINGLE_PROCESS, pretrained=False)
    samples = small.samples(source, training=True)
    samples[0, 0]
    start = time.perf_counter()
    read = [samples[0, index % len(source)] for index in range(count)]
    reading = (time.perf_counter() - start) / count
    batch = small.method.collate()(read)
    times = []
    for _ in range(TRIAL_STEPS):
        start = time.perf_counter()
        learner.update([batch], 0.0)
        times.append(time.perf_counter() - start)
    height, width = batch.size
    return Trial(min(times), count * height * width, reading)


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
