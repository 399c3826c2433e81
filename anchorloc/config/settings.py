"""The settings of a run: a tree of the components that do the work."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from anchorloc.anchors import AnchorGenerator, TorchvisionAnchors, TorchvisionSSDAnchors
from anchorloc.anchors.anchors_protocol import AnchorsProtocol
from anchorloc.assign import Assigner, ATSSAssigner
from anchorloc.config.method import AnchorMethod, SingleBoxMethod
from anchorloc.config.unimported import UnimportedPart
from anchorloc.data import (
    ClassBalancedSampling,
    CocoData,
    EvenSampling,
    LabelData,
    Letterbox,
    OneShapeData,
    RepeatFactorSampling,
    Samples,
    ShapesData,
    Source,
    TorchvisionStretch,
    Transform,
)
from anchorloc.data.own_data import DataProtocol
from anchorloc.data.tiles import Tiles
from anchorloc.detector import (
    SGD,
    AdamW,
    Criterion,
    Decoder,
    DeltaCoder,
    DetectorSettings,
    Muon,
    SingleBoxLocalizer,
    TaskAlignedAssigner,
    pad_to_multiple,
)
from anchorloc.structures import Size

MAX_THREADS = 512  # with thousands of threads a process takes long to end
MAX_BATCH = 1 << 16  # images; a machine would be busy for long before its memory runs out
AUTO_EPOCHS = 0.5  # epochs between validations, at least, with validate_every=auto
_LENGTH = re.compile(r"(\d{1,12}(?:\.\d{1,12})?) (hours?|minutes?|epochs?|iterations?)")
_DEVICE = re.compile(r"auto|(cpu|mps)(:0)?|cuda(:\d{1,3})?")


@dataclass(frozen=True)
class TrainSettings:
    """The training loop: how long, how fast, and which checkpoints are kept."""

    length: str = "2.4 minutes"  # "N minutes" or "N hours" (validation included), "N epochs" or "N iterations"
    batch_size: int = 16  # images per step, over all processes
    gradient_accumulation: int = 1  # micro-batches per process and step
    sampling: EvenSampling | RepeatFactorSampling | ClassBalancedSampling = EvenSampling()
    workers: int = 2  # data loader processes per training process; 0 loads in the training process itself
    optimizer: AdamW | SGD | Muon = Muon()
    base_batch_size: int = 0  # batch size the learning rate was tuned for; the rate is scaled linearly from it
    # (arXiv:1706.02677); 0 disables scaling
    warmup: int = 50  # steps from 0 to the full learning rate
    rewarm: float = 0.3  # a run that is resumed with a greater length raises the learning rate, over warmup steps, to
    # this fraction of the full rate, unless it is higher; 0 never raises it
    clip_norm: float = 10.0  # greatest norm of all gradients together; larger gradients are scaled down to it
    skip_nonfinite: int = 0  # consecutive updates to skip when a loss or gradient is NaN or infinite, before the run
    # stops
    ema: float = 0.995  # decay of the averaged weights, which are validated and kept; 0 disables averaging
    precision: Literal["auto", "float32", "bfloat16"] = "auto"  # number type of the forward pass; auto takes bfloat16
    # where the device is fast at it
    inference_precision: Literal["float32", "tf32"] = "float32"  # number type of products on a GPU in validation and in
    # use; tf32 is faster and rounds scores in the third digit; other devices always take float32
    compile: bool = False  # compile the network with torch.compile, which takes a minute or more at the start
    device: str = "auto"  # auto, cpu, cuda, cuda:N or mps
    threads: int = 0  # CPU threads of torch; 0 leaves the choice to torch
    seed: int = 0  # seed of the initial weights, the augmentation and the order of images
    validate_every: float | Literal["auto"] = "auto"  # epochs between validations; auto takes 0.5 epochs, or as many as
    # keep validation within 10% of a length in minutes; the end of a run is always validated
    threshold_precision: float = 0.0  # precision on val that the score threshold in checkpoints reaches, with the
    # greatest recall; 0, or a precision that no threshold reaches, gives the threshold of best F1
    save_every: float = 10.0  # maximum minutes between checkpoints; every validation writes one too
    keep_checkpoints: int = 2  # checkpoints kept for resuming: last.pt, and older last-STEP.pt in case it is damaged
    patience: int = 0  # validations without a better AP before the run stops early; 0 never stops early
    image_cache_mb: int = 1024  # maximum MiB of memory for decoded images, train and val each, and at most an eighth of
    # the memory of the machine or its cgroup; 0 disables the cache

    def __post_init__(self) -> None:
        if not _LENGTH.fullmatch(self.length) or self.length_and_unit[0] <= 0:
            units = "'N minutes', 'N hours', 'N epochs' or 'N iterations'"
            raise ValueError(f"length must read {units}, got {self.length!r}")
        if not _DEVICE.fullmatch(self.device):
            raise ValueError(f"device must be auto, cpu, cuda, cuda:N or mps, got {self.device!r}")
        if not 0 <= self.seed < 1 << 63:
            raise ValueError(f"seed must be from 0 to 2**63 - 1, got {self.seed}")
        for name in ("batch_size", "gradient_accumulation", "save_every", "keep_checkpoints", "clip_norm"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")
        if not self.validation_interval > 0:
            raise ValueError(f"validate_every must be above 0, got {self.validate_every}")
        for name in ("workers", "base_batch_size", "warmup", "skip_nonfinite", "patience", "image_cache_mb", "threads"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        for name, most in (("threads", MAX_THREADS), ("batch_size", MAX_BATCH)):
            if getattr(self, name) > most:
                raise ValueError(f"{name} must be at most {most}, got {getattr(self, name)}")
        if not 0 <= self.rewarm <= 1:
            raise ValueError(f"rewarm must be from 0 to 1, got {self.rewarm}")
        if not 0 <= self.threshold_precision <= 1:
            raise ValueError(f"threshold_precision must be from 0 to 1, got {self.threshold_precision}")
        if not 0 <= self.ema < 1:
            raise ValueError(f"ema must be at least 0 and below 1, got {self.ema}")

    @property
    def length_and_unit(self) -> tuple[float, str]:
        """The length as (number, "minute" | "epoch" | "iteration"); hours are given in minutes."""
        number, unit = _LENGTH.fullmatch(self.length).groups()  # type: ignore[union-attr]
        unit = unit.rstrip("s")
        return (60 * float(number), "minute") if unit == "hour" else (float(number), unit)

    @property
    def validation_interval(self) -> float:
        """The epochs between validations; with validate_every=auto at least."""
        return AUTO_EPOCHS if self.validate_every == "auto" else self.validate_every

    @property
    def lr_scale(self) -> float:
        """The factor on the learning rate of the optimizer."""
        return self.batch_size / self.base_batch_size if self.base_batch_size else 1.0

    def micro_batch(self, processes: int = 1) -> int:
        """Return the greatest number of images that a process has at a time."""
        return -(-self.batch_size // (processes * self.gradient_accumulation))


@dataclass(frozen=True)
class Config:
    """All settings of a run; the defaults train on the built-in shapes."""

    task: Literal["detection", "localization"] = (
        "detection"  # detection: any number of objects per image; localization: exactly one
    )
    data: ShapesData | OneShapeData | CocoData | LabelData | DataProtocol = ShapesData()
    transform: Transform = Transform()
    anchors: AnchorGenerator | TorchvisionAnchors | TorchvisionSSDAnchors | AnchorsProtocol = AnchorGenerator(
        strides=(4, 8, 16, 32), scales=(4.0,), height_to_width=(1.0,)
    )
    assign: Assigner | TaskAlignedAssigner = ATSSAssigner()
    detector: DetectorSettings = DetectorSettings()
    localizer: SingleBoxLocalizer | None = None  # {} regresses one box per image from pooled features, for
    # task=localization; anchors, assign, coder, loss and decode are unused then
    coder: DeltaCoder = DeltaCoder()
    loss: Criterion = Criterion()
    decode: Decoder = Decoder()
    train: TrainSettings = TrainSettings()

    def __post_init__(self) -> None:
        loss = self.loss.classification
        background = None if isinstance(loss, UnimportedPart) else getattr(loss, "background_class", None)
        # a loss of the user's own without it is refused when it is tried, with the sentence of its protocol
        if isinstance(background, bool) and background != self.detector.head.background_class:
            kind, need = type(loss).__name__, "true" if background else "false"
            raise ValueError(f"loss.classification.kind={kind} needs detector.head.background_class={need}")
        if self.task == "localization" and self.transform.augment.mosaic:
            raise ValueError("task=localization needs one object per image, but transform.augment.mosaic shows several")
        if self.localizer is not None:
            self._check_localizer()

    def _check_localizer(self) -> None:
        if self.task != "localization":
            raise ValueError(f"localizer needs task=localization, but task is {self.task}")
        if isinstance(self.assign, TaskAlignedAssigner):
            raise ValueError("localizer has no anchors to assign; remove assign.kind=TaskAlignedAssigner")
        if self.detector.weights:
            raise ValueError(f"localizer cannot start from detector.weights={self.detector.weights!r}; leave it out")
        one_size = isinstance(self.transform.resize, Letterbox | TorchvisionStretch) or isinstance(
            self.data, ShapesData
        )
        if not one_size or len(set(self.transform.augment.multi_scale)) > 1:
            raise ValueError(
                "localizer needs images of one size; set transform.resize.kind to Letterbox or TorchvisionStretch, and "
                "one factor of transform.augment.multi_scale"
            )

    @property
    def method(self) -> AnchorMethod | SingleBoxMethod:
        """The detection method: anchors, or a single box per image."""
        return AnchorMethod(self) if self.localizer is None else SingleBoxMethod(self, self.localizer)

    @property
    def loader_assigner(self) -> Assigner:
        """The assigner of the data loader, which sees no predictions: `assign`, or its `initial`."""
        return self.assign.initial if isinstance(self.assign, TaskAlignedAssigner) else self.assign

    @property
    def decoder(self) -> Decoder:
        """The decoder in use: for localization it keeps the box of greatest score, however low."""
        if self.task == "detection":
            return self.decode
        return replace(self.decode, score_threshold=0.0, topk_candidates=1, max_detections=1)

    @property
    def multiple(self) -> int:
        """The number of pixels that the sides of a padded batch are multiples of: by default the coarsest stride."""
        return self.transform.multiple or math.ceil(max(self.anchors.strides, default=1))

    def padded(self, size: Sequence[int]) -> Size:
        """Return (height, width) rounded up to multiples of `multiple`."""
        return pad_to_multiple(size, self.multiple)

    @property
    def tiles(self) -> Tiles | None:
        """The tiles that the network gets in place of whole images, to train and to detect."""
        tiles = getattr(self.data, "tiles", None)
        return tiles if isinstance(tiles, Tiles) else None

    def seen(self, source: Source) -> Source:
        """Return what the network gets of a split to detect on: the images, or their tiles."""
        return source if self.tiles is None else self.tiles.cover(source)

    def samples(self, source: Source, *, training: bool, cache_bytes: int = 0) -> Samples:
        """Return the samples of a split as the network gets them; only training samples are augmented."""
        return Samples(source, self.transform, self.train.seed, training, cache_bytes, self.detector.fill)

    @property
    def scored_detections(self) -> tuple[int, ...]:
        """Detections scored per class and image: COCO's 1, 10 and 100, or as many as `decode` keeps if more."""
        return 1, 10, max(100, self.decode.max_detections)
