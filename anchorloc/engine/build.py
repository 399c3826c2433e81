"""A config to the objects that run it."""

from __future__ import annotations

import copy
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.util import Finalize
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from anchorloc.config import Config
from anchorloc.data import Samples, Source
from anchorloc.detector import Batch, Collate, Detector, learn_the_object, whole_image
from anchorloc.engine.batch_samplers import TrainBatchSampler, ValidationBatchSampler
from anchorloc.errors import InputError
from anchorloc.structures import Sample

GRACE = 600  # seconds that a worker lives on after SIGTERM: as long as a step, or compiling, may take
VALIDATION_BATCH = 16  # images at most, however many learn at a time over all processes


def build_detector(config: Config, classes: int, *, pretrained: bool = True) -> Detector:
    """Return the network that `config` describes, with random or given backbone weights.

    Raises:
        InputError: parts do not fit together.
    """
    if config.localizer is not None:
        return config.localizer(config.detector, classes, pretrained=pretrained)
    try:
        network = config.detector(
            config.anchors.strides, config.anchors.shapes_per_level, classes, pretrained=pretrained
        )
    except ValueError as error:
        raise InputError(str(error)) from None
    refuse_other_grids(network, config)
    return network


def refuse_other_grids(network: Detector, config: Config, size: tuple[int, int] = (480, 640)) -> None:
    """Raise InputError unless the network predicts as much as there are anchors, for an image of `size`."""
    canvas, _ = config.transform.resize(size)
    shadow = copy.deepcopy(network).to("meta").eval()  # shapes without values cost nothing
    for factor in sorted({1.0, *config.transform.augment.multi_scale}):
        height, width = (max(1, round(side * factor)) for side in canvas)
        height, width = (-(-side // config.multiple) * config.multiple for side in (height, width))
        try:
            with torch.no_grad():
                predicted = shadow(torch.empty(1, 3, height, width, device="meta")).logits.shape[1]
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            raise InputError(
                f"the network cannot take an image of {height} x {width} px ({reason}); change transform.resize, "
                "transform.augment.multi_scale or detector.pyramid"
            ) from None
        anchors = len(config.anchors((height, width)))
        if predicted != anchors:
            raise InputError(
                f"the network predicts for {predicted:,} anchors in an image of {height} x {width} px, but there are "
                f"{anchors:,}; change anchors.strides, or transform.resize to the size that the network is made for"
            )


def to_device(model: Detector, device: torch.device) -> Detector:
    """Move the network, its kernels in the memory format that convolutions are fastest in."""
    model.to(device)
    model.to(memory_format=torch.channels_last)
    return model


def refuse_small_batches(config: Config, processes: int) -> None:
    """Raise InputError if there are fewer images in a step than parts of it."""
    settings = config.train
    if processes * settings.gradient_accumulation > settings.batch_size:
        raise InputError(
            f"train.batch_size={settings.batch_size} cannot be parted among {processes} processes and "
            f"train.gradient_accumulation={settings.gradient_accumulation}; raise it"
        )


def build_collate(config: Config) -> Collate:
    """Return what turns samples into a batch."""
    if config.localizer is not None:
        return Collate(whole_image, learn_the_object, config.multiple, config.detector.fill)
    return Collate(config.anchors, config.initial_assigner, config.multiple, config.detector.fill)


def train_loader(config: Config, source: Source, start: int, part: tuple[int, int] = (0, 1)) -> DataLoader[Batch]:
    """Return an endless loader that begins with step `start`; `part` is this process's (rank, count).

    A step has `train.gradient_accumulation` batches of it.
    """
    settings = config.train
    cache_bytes = settings.image_cache_mb << 20
    samples = Samples(source, config.transform, settings.seed, True, cache_bytes, config.detector.fill)
    weights = settings.sampling(source)
    order = TrainBatchSampler(
        len(source), settings.batch_size, settings.seed, start, part, settings.gradient_accumulation, weights
    )
    return _loader(config, samples, order)


def validation_loader(config: Config, source: Source, part: tuple[int, int] = (0, 1)) -> DataLoader[Batch]:
    """Return a loader of every image once, in order, in batches that do not depend on the number of processes."""
    settings = config.train
    size = min(VALIDATION_BATCH, -(-settings.batch_size // settings.gradient_accumulation))
    cache_bytes = settings.image_cache_mb << 20
    samples = Samples(source, config.transform, settings.seed, False, cache_bytes, config.detector.fill)
    return _loader(config, samples, ValidationBatchSampler(len(source), size, part))


def batches(loader: Iterable[Batch | InputError]) -> Iterator[Batch]:
    """Yield the batches of a loader.

    Raises:
        InputError: a sample of the batch could not be made.
    """
    for batch in loader:
        if isinstance(batch, InputError):
            raise batch
        yield batch


@dataclass(frozen=True)
class _Careful(Dataset[Any]):
    """Samples whose InputError comes back as a value: raised in a worker, it would drag a traceback along."""

    samples: Samples

    def __getitem__(self, key: tuple[int, int]) -> Sample | InputError:
        try:
            return self.samples[key]
        except InputError as error:
            return error


@dataclass(frozen=True)
class _CarefulCollate:
    """Collate, or the first error among the samples."""

    collate: Collate

    def __call__(self, samples: Sequence[Sample | InputError]) -> Batch | InputError:
        good = [sample for sample in samples if isinstance(sample, Sample)]
        return (
            self.collate(good) if len(good) == len(samples) else next(s for s in samples if isinstance(s, InputError))
        )


def _loader(config: Config, samples: Samples, order: Iterable[list[tuple[int, int]]]) -> DataLoader[Any]:
    workers = config.train.workers
    return DataLoader(
        _Careful(samples),
        batch_sampler=order,
        collate_fn=_CarefulCollate(build_collate(config)),
        num_workers=workers,
        multiprocessing_context=_start_method() if workers else None,
        pin_memory=pick_device(config.train.device).type == "cuda",
        persistent_workers=workers > 0,
        prefetch_factor=4 if workers else None,
        worker_init_fn=_start_worker,
        generator=torch.Generator(),  # for the seeds of workers, which use none: the run's own generator stays put
    )


def _start_method() -> str | None:
    """Fork on Linux, where workers then start at once and fill one image cache, unless the program has chosen; from
    Python 3.14 on its own choice there is another. Elsewhere, Python's choice.
    """
    chosen = multiprocessing.get_start_method(allow_none=True)
    return chosen or ("fork" if sys.platform == "linux" else None)


def _start_worker(number: int) -> None:
    """Leave signals to the main process, which ends its step first and then its workers; one thread a worker.

    A signal to the whole group reaches a worker too: it goes on for as long as a step may take, not for ever; a second
    one ends it. Where the main process was killed, a worker notices within seconds, but would then wait for ever to
    send what nobody reads.
    """
    Finalize(None, _exit_if_orphaned, args=(os.getppid(),), exitpriority=100)  # before the queues, which wait
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform != "win32":
        signal.signal(signal.SIGTERM, _exit_after_grace)
    torch.set_num_threads(1)


def _exit_after_grace(number: int, frame: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.alarm(GRACE)


def _exit_if_orphaned(parent: int) -> None:
    """End this process at once if the one that started it has ended."""
    if os.getppid() != parent:
        os._exit(1)


def pick_device(name: str) -> torch.device:
    """Return the device that a setting names; `auto` takes an accelerator where there is one.

    Raises:
        InputError: there is no such device.
    """
    if name == "auto":
        mps = torch.backends.mps.is_available()
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if mps else "cpu")
    try:
        device = torch.device(name)
        if device.type not in ("cpu", "cuda", "mps"):
            raise RuntimeError("it is none of cpu, cuda, cuda:N and mps")
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"train.device={name!r} cannot be used: {reason}; try auto or cpu") from None
    return device
