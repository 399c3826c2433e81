"""Build the network, the data loaders and the device that a config describes."""

from __future__ import annotations

import copy
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from multiprocessing.util import Finalize
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from anchorloc.cgroups import memory_limit
from anchorloc.config import Config, held_to, own_parts
from anchorloc.data import Samples, Source, match_categories, refuse_other_counts
from anchorloc.detector import Batch, Collate, Detector
from anchorloc.detector.part_protocols import BackboneProtocol
from anchorloc.engine.batch_samplers import TrainBatchSampler, ValidationBatchSampler, equal_size_batches, shape_ranks
from anchorloc.engine.single_values import shape_device
from anchorloc.errors import InputError
from anchorloc.lab.part_checks import open_checked
from anchorloc.structures import Category, Sample, Size
from anchorloc.text import counted

WORKER_GRACE_SECONDS = 600  # after SIGTERM a worker stays this long: a step, or compiling, may take minutes
CACHE_SHARE = 1 / 8  # fraction of the memory of the machine or its cgroup, for each of the caches of train and val
MAX_VALIDATION_BATCH = 16  # images, so that a large train.batch_size cannot exhaust memory
_FITTING: set[tuple[object, ...]] = set()  # settings whose network fits its anchors; a check takes tenths of a second


def build_detector(config: Config, classes: int, *, pretrained: bool = True) -> Detector:
    """Return the network that `config` describes, with random or pretrained backbone weights.

    Raises:
        InputError: settings contradict each other.
    """
    try:
        network = config.method.build(classes, pretrained=pretrained)
    except ValueError as error:
        raise InputError(str(error)) from None
    if config.method.has_anchors:
        refuse_other_grids(network, config)
    return network


def refuse_other_grids(network: Detector, config: Config, size: Size = (480, 640)) -> None:
    """Raise InputError unless the network makes one prediction per anchor, for an image of `size`."""
    described = (config.detector, config.anchors, config.transform, size)
    if described in _FITTING:
        return
    canvas, _ = config.transform.resize(size)
    own = next((part for part in own_parts(config) if part.protocol is BackboneProtocol), None)
    device = shape_device(config)
    shadow = copy.deepcopy(network).to(device).eval()
    for factor in sorted({1.0, *config.transform.augment.multi_scale}):
        height, width = config.padded([max(1, round(side * factor)) for side in canvas])
        try:
            with torch.no_grad(), nullcontext() if own is None else held_to(own):
                predicted = shadow(torch.zeros(1, 3, height, width, device=device)).logits.shape[1]
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            raise InputError(
                f"the network fails on an image of {height} x {width} px ({reason}); change transform.resize, "
                "transform.augment.multi_scale or detector.pyramid"
            ) from None
        anchors = len(config.anchors((height, width)))
        if predicted != anchors:
            raise InputError(
                f"the network predicts for {predicted:,} anchors in an image of {height} x {width} px, but the config "
                f"has {anchors:,}; change anchors.strides, or set transform.resize to the size the network is made for"
            )
    _FITTING.add(described)


def open_all_splits(config: Config, known: Sequence[Category] = ()) -> tuple[Source, Source, Source | None]:
    """Open train, val and, if there is one, test, and refuse splits that do not fit each other or the task.

    Classes are matched by name: val and test get the classes of train, and train gets the `known` classes of a resumed
    run, if their names are the same.

    Raises:
        InputError: a file breaks the data policy, the classes differ, or an image of a localization task has not
            exactly one object.
    """
    train, val, test = open_checked(config)
    if {category.name for category in known} == {category.name for category in train.categories}:
        train = match_categories(train, tuple(known), ("the run", "the data"))
    val = match_categories(val, train.categories)
    if test is not None:
        test = match_categories(test, train.categories, ("train", "test"))
    for split, source in (("train", train), ("val", val), ("test", test)):
        if source is not None:
            refuse_other_counts(config.task == "localization", source, split)
    return train, val, test


def to_device(model: Detector, device: torch.device) -> Detector:
    """Move the network to the device, in the memory format that is fastest for convolutions."""
    model.to(device)
    model.to(memory_format=torch.channels_last)
    return model


def refuse_small_batches(config: Config, processes: int) -> None:
    """Raise InputError if a step has fewer images than micro-batches."""
    settings = config.train
    if processes * settings.gradient_accumulation > settings.batch_size:
        raise InputError(
            f"train.batch_size={settings.batch_size} is less than {counted(processes, 'process')} times "
            f"train.gradient_accumulation={settings.gradient_accumulation}; raise train.batch_size"
        )


def train_loader(config: Config, source: Source, start: int, shard: tuple[int, int] = (0, 1)) -> DataLoader[Loaded]:
    """Return an endless loader that begins at step `start`; `shard` is the (rank, count) of this process.

    Each step takes `train.gradient_accumulation` batches from it.
    """
    settings = config.train
    samples = config.samples(source, training=True, cache_bytes=cache_bytes(settings.image_cache_mb))
    order = TrainBatchSampler(
        len(source),
        settings.batch_size,
        settings.seed,
        start,
        shard,
        settings.gradient_accumulation,
        weights=settings.sampling(source),
        shapes=shape_ranks(_padded_sizes(config, source)),
    )
    return _loader(config, samples, order)


def validation_batches(config: Config, source: Source) -> list[list[int]]:
    """Return the images of each validation batch: all of one padded size, so that none is padded for another."""
    return equal_size_batches(_padded_sizes(config, source), min(MAX_VALIDATION_BATCH, config.train.micro_batch()))


def _padded_sizes(config: Config, source: Source) -> Iterator[Size]:
    """Yield the size of each image as the network gets it without augmentation."""
    for index in range(len(source)):
        yield config.padded(config.transform.resize(source.size(index))[0])


def validation_loader(
    config: Config,
    source: Source,
    order: Sequence[Sequence[int]],
    shard: tuple[int, int] = (0, 1),
    *,
    learns: bool = True,
) -> DataLoader[Loaded]:
    """Return a loader of the batches `order`, which `validation_batches` gives; `shard` is (rank, count).

    Unless it `learns`, no anchor is assigned, and the batches have no losses.
    """
    samples = config.samples(source, training=False, cache_bytes=cache_bytes(config.train.image_cache_mb))
    return _loader(config, samples, ValidationBatchSampler(order, shard), learns)


def cache_bytes(megabytes: int) -> int:
    """Return the memory for one image cache: the setting in MiB, but at most CACHE_SHARE of what processes may use.

    The processes that torchrun started on this machine share it.
    """
    limit = memory_limit()
    stated = os.environ.get("LOCAL_WORLD_SIZE", "")
    processes = max(1, int(stated)) if stated.isdecimal() else 1
    wanted = megabytes << 20
    return wanted if limit is None else min(wanted, int(limit * CACHE_SHARE) // processes)


@dataclass(frozen=True, eq=False)
class Loaded:
    """What a loader yields: the batch of the samples that could be read, and the errors of the others."""

    batch: Batch | None
    errors: dict[int, InputError]  # by place in the list of samples; raised in a worker, they would carry a traceback

    def pin_memory(self) -> Loaded:
        """Pin the tensors; a loader that feeds a GPU calls this."""
        return Loaded(self.batch and self.batch.pin_memory(), self.errors)


def batches(loader: Iterable[Loaded]) -> Iterator[Batch]:
    """Yield the batches of a loader.

    Raises:
        InputError: a sample could not be read.
    """
    for loaded in loader:
        for error in loaded.errors.values():
            raise error
        if loaded.batch is not None:
            yield loaded.batch


@dataclass(frozen=True)
class _CatchErrors(Dataset[Any]):
    """Return an InputError in place of its sample."""

    samples: Samples

    def __getitem__(self, key: tuple[int, int]) -> Sample | InputError:
        try:
            return self.samples[key]
        except InputError as error:
            return error


@dataclass(frozen=True)
class _CollateReadable:
    """Collate the samples that could be read."""

    collate: Collate

    def __call__(self, samples: Sequence[Sample | InputError]) -> Loaded:
        good = [sample for sample in samples if isinstance(sample, Sample)]
        errors = {place: sample for place, sample in enumerate(samples) if isinstance(sample, InputError)}
        return Loaded(self.collate(good) if good else None, errors)


def _loader(
    config: Config, samples: Samples, order: Iterable[list[tuple[int, int]]], learns: bool = True
) -> DataLoader[Any]:
    workers = config.train.workers
    return DataLoader(
        _CatchErrors(samples),
        batch_sampler=order,
        collate_fn=_CollateReadable(config.method.collate(learns=learns)),
        num_workers=workers,
        multiprocessing_context=_start_method() if workers else None,
        pin_memory=pick_device(config.train.device).type == "cuda",
        persistent_workers=workers > 0,
        prefetch_factor=4 if workers else None,
        worker_init_fn=_start_worker,
        generator=torch.Generator(),  # for worker seeds, so that the state of the global generator does not change
    )


def _start_method() -> str | None:
    """Return "fork" on Linux unless the program has chosen: workers start fast and share one image cache.

    From Python 3.14 on, the default there is another.
    """
    chosen = multiprocessing.get_start_method(allow_none=True)
    return chosen or ("fork" if sys.platform == "linux" else None)


def _start_worker(number: int) -> None:
    """Prepare a worker: one thread, and signals are left to the main process, which ends its step first.

    A signal to the process group reaches workers too: the first SIGTERM ends a worker after a grace period, the second
    one at once. Where the main process was killed, a worker would wait forever to send data that nobody reads.
    """
    # The priority makes this run before the queues are joined, which would wait.
    Finalize(None, _exit_if_orphaned, args=(os.getppid(),), exitpriority=100)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform != "win32":
        signal.signal(signal.SIGTERM, _exit_after_grace)
    torch.set_num_threads(1)


def _exit_after_grace(number: int, frame: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.alarm(WORKER_GRACE_SECONDS)


def _exit_if_orphaned(parent: int) -> None:
    """End this process at once if its parent has ended."""
    if os.getppid() != parent:
        os._exit(1)


def pick_device(name: str) -> torch.device:
    """Return the device that `train.device` names; `auto` takes an accelerator if there is one.

    Raises:
        InputError: there is no such device.
    """
    if name == "auto":
        mps = torch.backends.mps.is_available()
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if mps else "cpu")
    try:
        device = torch.device(name)
        if device.type not in ("cpu", "cuda", "mps"):
            raise RuntimeError("known devices: cpu, cuda, cuda:N, mps")
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"train.device={name!r} cannot be used: {reason}; try auto or cpu") from None
    return device
