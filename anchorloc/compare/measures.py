"""Measure a setting: what its anchors can find, and what it costs in operations and in time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from statistics import median

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from anchorloc.compare.report import Measures
from anchorloc.config import Config
from anchorloc.data import Samples, Source
from anchorloc.detector import TaskAlignedAssigner
from anchorloc.engine.inference import inference_precision
from anchorloc.engine.trained_model import TrainedModel
from anchorloc.lab.anchor_coverage import measure_coverage
from anchorloc.lab.ceiling import ceiling
from anchorloc.lab.network_views import NetworkViews

TIMED = 40  # images to time, spread over the split
WARM_UP = 3  # further images, whose times are dropped
Times = dict[str, list[float]]  # seconds by stage


def measure(models: Mapping[str, TrainedModel], val: Source) -> dict[str, Measures]:
    """Measure every setting with one trained network; settings take turns, so that load hits all alike."""
    samples = {name: model.config.samples(val, training=False) for name, model in models.items()}
    times: dict[str, Times] = {name: {} for name in models}
    threads = torch.get_num_threads()
    for index in np.linspace(0, len(val) - 1, min(TIMED + WARM_UP, len(val))).astype(int).tolist():
        for name, model in models.items():
            torch.set_num_threads(model.config.train.threads or threads)
            _time(model, samples[name], index, times[name])
    torch.set_num_threads(threads)
    return {name: _measures(model, val, times[name]) for name, model in models.items()}


def _measures(model: TrainedModel, val: Source, times: Times) -> Measures:
    stages = {stage: 1000 * median(seconds[WARM_UP:] or seconds) for stage, seconds in times.items()}
    assigned, limit, anchors = _coverage(model.config, val)
    return Measures(
        assigned=assigned,
        ceiling=limit,
        anchors=anchors,
        match_ms=stages.get("match", 0.0) + stages.get("align", 0.0),
        head_mflops=_head_flops(model, val) / 1e6,
        parameters=sum(parameter.numel() for parameter in model.network.parameters()),
        latency_ms=stages["network"] + stages["decode"] + stages.get("nms", 0.0),
        nms_ms=stages.get("nms", 0.0),
    )


def _coverage(config: Config, val: Source) -> tuple[float | None, float | None, float]:
    """Return the share of boxes with a positive anchor, the ceiling (oracle AP), and the mean anchors per image.

    The first two are None where predictions choose the anchors, and for a localizer, which has no anchors.
    """
    if not config.method.has_anchors:
        return None, None, 0.0
    views = NetworkViews(config, val)
    found = measure_coverage(views, rescue_curve=False)
    anchors = found.anchors_per_image
    if isinstance(config.assign, TaskAlignedAssigner):
        return None, None, anchors
    return found.assigned, ceiling(views).perfect.summary.ap, anchors


@torch.inference_mode()
def _time(model: TrainedModel, samples: Samples, index: int, times: Times) -> None:
    """Time assignment, network, decoding and NMS on one image, as far as the setting has them."""
    config = model.config
    batch = config.method.collate()([samples[0, index]])
    grid = config.method.grid(batch.size)
    sample = batch.samples[0]
    if config.method.has_anchors:
        with _clocked(model.device, times, "match"):
            config.method.assigner(grid, sample.target.boxes, sample.target.crowd)
    batch = batch.to(model.device)
    with _clocked(model.device, times, "network"), inference_precision(config):
        predictions = model.network(batch.images)
    if not config.method.has_anchors:
        with _clocked(model.device, times, "decode"):
            config.method.decode(predictions, grid, batch.samples)
        return
    if isinstance(config.assign, TaskAlignedAssigner):
        with _clocked(model.device, times, "align"):
            config.method.reassign(predictions, batch)
    with _clocked(model.device, times, "decode"):
        candidates = config.decoder.above_threshold(predictions.scores())
        (found,) = config.decoder.decode(candidates, predictions.deltas, grid, batch.samples, config.coder)
    with _clocked(model.device, times, "nms"):
        config.decoder.nms(found)


@contextmanager
def _clocked(device: torch.device, times: Times, stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    times.setdefault(stage, []).append(time.perf_counter() - start)


@torch.inference_mode()
def _head_flops(model: TrainedModel, val: Source) -> int:
    """Count the FLOPs of the head on the first image of the split; a multiply-add counts as two."""
    batch = model.config.method.collate()([model.config.samples(val, training=False)[0, 0]]).to(model.device)
    head = model.network.head
    counter = FlopCounterMode(display=False)

    def begin(*_: object) -> None:
        counter.__enter__()  # type: ignore[no-untyped-call]

    def end(*_: object) -> None:
        counter.__exit__(None, None, None)  # type: ignore[no-untyped-call]

    hooks = [head.register_forward_pre_hook(begin), head.register_forward_hook(end)]
    try:
        model.network(batch.images)
    finally:
        for hook in hooks:
            hook.remove()
    return int(counter.get_total_flops())
