"""The rules of a plan: from the data set and the machine to settings, each with its reason in words.

The three kinds of settings are as in nnDetection (arXiv:2106.00817): fixed for all data, by rule from the data and the
machine, and chosen on val after training, which are thresholds and no settings of the plan.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final

from anchorloc.config import Config, to_plain
from anchorloc.data import Letterbox, ShortestSide
from anchorloc.plan.choice import Basis, Choice, Facts
from anchorloc.text import about, counted

NETWORK: Final = {"cpu": "mobilenet_v2", "mps": "mobilenet_v2", "cuda": "resnet50"}
HEAD_CHANNELS: Final = {"cpu": 96, "mps": 96, "cuda": 256}
WANTED_SIDE: Final = 36  # network pixels that the 10th percentile of the sides of boxes should have
MIN_SIDE: Final = 256  # shorter side of the input, in pixels, even if objects are large
SHORT_RUN_SIDE: Final = 128  # the least where the time is short
MAX_PIXELS: Final = {"cpu": 640 * 640, "mps": 800 * 1088, "cuda": 800 * 1088}  # input
MAX_ENLARGED: Final = 1.5  # an image is enlarged by this factor at most
MIN_SEEN, EPOCHS, MOST_SEEN = 2000, 5, 2500  # images that a run should see: EPOCHS epochs, within these bounds
SIDE_STEP: Final = 32  # pixels between the sizes that are tried
BATCH: Final = {"cpu": 8, "mps": 8, "cuda": 16}
SMALL_BATCH: Final = 4  # the least for the sake of more steps
WANTED_STEPS: Final = 225  # a run of fewer has smaller batches, and so more steps
BYTES_PER_PIXEL: Final = 2500  # per pixel of the input, for activations and gradients (python -m benchmarks.memory)
MEMORY_SHARE: Final = 0.4  # activations and gradients may take it; the loader and the cache need the rest
RARE: Final = 0.1  # a class in a smaller fraction of the images is drawn more often
MOST_DETECTIONS: Final = 100  # kept in an image, or a multiple of it where images have more boxes
SPARE: Final = 1.2  # detections to keep, by the boxes of the fullest image
WARMUP_SHARE: Final = 0.1  # fraction of the steps
MANY_IMAGES: Final = 1000  # from here on, images are changed only a little
MANY_EPOCHS: Final = 30  # a shorter run changes images only a little, too
FIT: Final = True  # fit the shapes of anchors to the boxes
REACH: Final = 8.0  # strides: a level serves objects up to this side
Rule = Callable[[Facts, Config], Iterator[Choice]]


def network(facts: Facts, config: Config) -> Iterator[Choice]:
    """Choose the backbone and the head by the device, and random weights only where others cannot be had."""
    if facts.pretrained or facts.given_value("detector.backbone") is not None:
        name = NETWORK[facts.machine.device]
        backbone: dict[str, Any] = {"kind": "TorchvisionBackbone", "name": name, "strides": [8, 16, 32]}
        start = "pretrained, and fast" if facts.pretrained else "fast"
        yield Choice("detector.backbone", backbone, f"{start} on a {_device(facts)}", "machine")
    else:
        backbone = {"kind": "ResidualBackbone", "first_stride": 8}
        yield Choice("detector.backbone", backbone, "small: pretrained weights cannot be had", "machine")
    head = {"kind": "Head", "channels": HEAD_CHANNELS[facts.machine.device], "depth": 2}
    yield Choice("detector.head", head, f"fast on a {_device(facts)}", "machine")


def optimizer(facts: Facts, config: Config) -> Iterator[Choice]:
    """Train a pretrained backbone at half the rate of the rest."""
    pace = 0.5 if facts.pretrained else 1.0
    value = {"kind": "Muon", "learning_rate": 5e-3, "backbone_lr_multiplier": pace}
    yield Choice("train.optimizer", value, "fewest steps to a given AP on the data sets it was tried on", "fixed")


def batch_size(facts: Facts, config: Config) -> Iterator[Choice]:
    """Start from the batch of the device; a small data set still has some steps in an epoch."""
    wanted = BATCH[facts.machine.device]
    size = max(2, min(wanted, facts.data.images // 8)) if facts.data.images >= 2 else 1
    why = (
        f"as tried on a {_device(facts)}" if size == wanted else f"few batches in {counted(facts.data.images, 'image')}"
    )
    basis: Basis = "fixed" if size == wanted else "data"
    if size < (needed := facts.processes * config.train.gradient_accumulation):
        size, why, basis = needed, "one image a process and micro-batch", "machine"
    yield Choice("train.batch_size", size, why, basis)


def input_size(facts: Facts, config: Config) -> Iterator[Choice]:
    """Make small objects visible, as far as the image, the device and the time allow."""
    data = facts.data
    if isinstance(side := facts.given_value("transform.resize.size"), int):
        value = {"kind": "ShortestSide", **to_plain(_shortest_side(facts, side))}
        yield Choice("transform.resize", value, f"most images keep a shorter side of {side} px", "data")
        return
    wanted = _whole(WANTED_SIDE / data.sides[0])
    height, width = data.size
    limits = {
        f"images of {width} x {height} px": MAX_ENLARGED * min(data.size),
        f"a {_device(facts)}": math.sqrt(MAX_PIXELS[facts.machine.device] / data.elongation),
    }
    if isinstance(longest := facts.given_value("transform.resize.max_size"), int):
        limits[f"a longer side of {longest} px"] = longest / data.elongation
    limit = min(limits, key=lambda name: limits[name])
    largest = _whole(limits[limit], math.floor)
    size = min(max(wanted, MIN_SIDE), largest)
    reason, basis = _size_reason(size, wanted, largest, limit)
    while size - SIDE_STEP >= SHORT_RUN_SIDE and _is_too_slow(facts, config, size):
        size -= SIDE_STEP
        reason, basis = "the time allows no larger images", "machine"
    side = data.sides[0] * size
    resize = _resize(facts, config, size)
    value = {"kind": type(resize).__name__, **to_plain(resize)}
    why = f"{reason}; small objects have {side:.0f} px"
    yield Choice("transform.resize", value, why, basis)


def memory(facts: Facts, config: Config) -> Iterator[Choice]:
    """Lower the batch until its activations fit into the memory."""
    height, width = config.padded(config.transform.resize(facts.data.size)[0])
    allowed = MEMORY_SHARE * facts.machine.for_training / (BYTES_PER_PIXEL * height * width)
    size = config.train.batch_size
    least = facts.processes * config.train.gradient_accumulation
    while size > max(least, allowed):
        size = max(least, size // 2)
    if size < config.train.batch_size:
        gib = facts.machine.for_training / (1 << 30)
        yield Choice("train.batch_size", size, f"more images do not fit into {gib:.0f} GiB", "machine")


def short_run(facts: Facts, config: Config) -> Iterator[Choice]:
    """Take smaller batches where the time is short for steps: the same images teach more in more steps."""

    def steps(size: int) -> float:
        return facts.steps(replace(config, train=replace(config.train, batch_size=size))) or math.inf

    known = size = config.train.batch_size
    least = max(SMALL_BATCH, facts.processes * config.train.gradient_accumulation)
    while size > least and steps(size) < WANTED_STEPS:
        size = max(least, size // 2)
    if size < known:
        yield Choice("train.batch_size", size, f"batches of {known} leave {about(steps(known))} steps", "machine")


def levels(facts: Facts, config: Config) -> Iterator[Choice]:
    """Add coarse levels until the large objects have one."""
    size = config.transform.resize(facts.data.size)[0]
    large = facts.data.sides[2] * min(size)
    coarsest = 32
    extra = 0
    while REACH * coarsest < large and 2 * coarsest <= max(size):
        coarsest, extra = 2 * coarsest, extra + 1
    channels = getattr(config.detector.head, "channels", HEAD_CHANNELS[facts.machine.device])  # LevelHead has none
    value = {"kind": "FeaturePyramid", "channels": channels, "extra_levels": extra}
    yield Choice("detector.pyramid", value, f"large objects have {large:.0f} px", "data")


def anchors(facts: Facts, config: Config) -> Iterator[Choice]:
    """Fit the anchors to the boxes, or keep RetinaNet's nine where the fit gains nothing on held-out boxes."""
    backbone = config.detector.backbone  # a class of the user's own may leave the strides to its network
    maps = backbone.strides if hasattr(backbone, "strides") else backbone(pretrained=False).strides
    strides = config.detector.pyramid.out_strides(maps)
    if strides is not None:
        shapes = {"scales": [4, 5.04, 6.35], "height_to_width": [0.5, 1, 2]}
        yield Choice(
            "anchors", {"kind": "AnchorGenerator", "strides": strides, **shapes}, "RetinaNet's shapes", "fixed"
        )


def fitted_anchors(facts: Facts, config: Config) -> Iterator[Choice]:
    """Fit the shapes to the boxes under the assigner in use."""
    fits = FIT and not config.detector.weights  # their last layers belong to their own anchors
    found = facts.fit(config) if fits else None
    if found is not None:
        plain = to_plain(found)
        value = {"kind": "AnchorGenerator", "strides": plain["strides"], "shapes": plain["shapes"]}
        yield Choice("anchors", value, "fitted to the boxes, better on held-out ones", "data")


def augmentation(facts: Facts, config: Config) -> Iterator[Choice]:
    """Change images much where a run sees few of them often, else a little."""
    seen = facts.images_seen(config)
    epochs = math.inf if seen is None else seen / facts.data.images
    few = facts.data.images < MANY_IMAGES
    much = few and epochs >= MANY_EPOCHS
    value = {
        "horizontal_flip": 0.5,
        "scale_jitter": [0.6, 1.5] if much else [0.8, 1.25],
        "photometric": 0.3 if much else 0.2,
    }
    too_short = few and not much
    why = f"only about {about(epochs)} epochs" if too_short else counted(facts.data.images, "image")
    yield Choice("transform.augment", value, why, "machine" if too_short else "data")


def sampling(facts: Facts, config: Config) -> Iterator[Choice]:
    """Draw images with a rare class more often."""
    if facts.data.classes > 1 and facts.data.rarest < RARE:
        value = {"kind": "RepeatFactorSampling", "threshold": RARE}
        yield Choice("train.sampling", value, f"one class is in {facts.data.rarest:.1%} of the images", "data")


def detections(facts: Facts, config: Config) -> Iterator[Choice]:
    """Keep as many detections as the fullest image has boxes, with some to spare."""
    if SPARE * facts.data.most_boxes > MOST_DETECTIONS:
        most = math.ceil(SPARE * facts.data.most_boxes / MOST_DETECTIONS) * MOST_DETECTIONS
        yield Choice("decode.max_detections", most, f"an image has {counted(facts.data.most_boxes, 'box')}", "data")


def loading(facts: Facts, config: Config) -> Iterator[Choice]:
    """Give a GPU more workers; on a CPU the steps need the cores."""
    most = 8 if facts.machine.device == "cuda" else 2
    cores = max(1, facts.machine.cores // facts.processes)
    share = "core" if facts.processes == 1 else "core for each process"
    yield Choice("train.workers", min(most, cores), counted(cores, share, share.replace("core", "cores")), "machine")


def steps(facts: Facts, config: Config) -> Iterator[Choice]:
    """Shorten the warm-up and the averaging of weights in a short run."""
    count = facts.steps(config)
    if count is None:
        return
    warmup = max(5, min(50, round(WARMUP_SHARE * count)))
    yield Choice("train.warmup", warmup, f"about {about(count)} steps", "machine")


RULES: Final[tuple[Rule, ...]] = (
    network,
    levels,  # a speed is measured with a pyramid, and with anchors that fit it
    anchors,
    optimizer,
    batch_size,
    input_size,
    memory,
    levels,
    anchors,
    short_run,
    augmentation,
    fitted_anchors,
    sampling,
    detections,
    loading,
    steps,
)


def _resize(facts: Facts, config: Config, size: int) -> ShortestSide | Letterbox:
    """Return the resizing to a shorter side of `size`; a localizer needs images of one size."""
    resize = _shortest_side(facts, size)
    if config.localizer is None:
        return resize
    height, width = facts.data.size
    return Letterbox(size, resize.max_size) if width >= height else Letterbox(resize.max_size, size)


def _shortest_side(facts: Facts, size: int) -> ShortestSide:
    return ShortestSide(size, max(size, _whole(size * facts.data.elongation)))


def _is_too_slow(facts: Facts, config: Config, size: int) -> bool:
    """Return whether a run would see too few images of this size."""
    resized = replace(config, transform=replace(config.transform, resize=_resize(facts, config, size)))
    seen = facts.images_seen(resized)
    needed = max(MIN_SEEN, min(EPOCHS * facts.data.images, MOST_SEEN))
    return seen is not None and seen < needed


def _size_reason(size: int, wanted: int, largest: int, limit: str) -> tuple[str, Basis]:
    if size == wanted:
        return f"shorter side of {size} px", "data"
    if wanted > largest:
        return f"the most for {limit}", "data"
    return "objects are large", "data"


def _whole(value: float, rounding: Callable[[float], int] = math.ceil) -> int:
    """Return a side as a multiple of SIDE_STEP, at least one."""
    return max(1, rounding(value / SIDE_STEP)) * SIDE_STEP


def _device(facts: Facts) -> str:
    return "GPU" if facts.machine.device != "cpu" else "CPU"
