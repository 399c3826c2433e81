"""Export a checkpoint to a file, and check the file before it is written."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from anchorloc.cli import warn
from anchorloc.config import Config
from anchorloc.data import ImageSettings, Source, Subset, match_categories
from anchorloc.data.image_formats import foreign_format
from anchorloc.detector import Predictions, pad_to_multiple
from anchorloc.detector.padding import pad_images
from anchorloc.engine.batch_samplers import equal_size_batches
from anchorloc.engine.evaluation import evaluate_model
from anchorloc.engine.export_metadata import KEY, write_metadata
from anchorloc.engine.judge_model import CHECKPOINT_AND_DATA
from anchorloc.engine.onnx_model import OnnxModel
from anchorloc.engine.onnx_session import open_session
from anchorloc.engine.state.run_folder import find_checkpoint
from anchorloc.engine.state.score_threshold import ScoreThreshold, find_threshold
from anchorloc.engine.trained_model import TrainedModel
from anchorloc.errors import InputError
from anchorloc.export import MAX_LOSS
from anchorloc.export.agreement import Agreement, check_agreement
from anchorloc.export.graph import DecodedModule, LogitsModule, SingleBoxModule
from anchorloc.export.onnx_file import dynamic_shapes, refuse_without_packages, to_onnx, trace, with_metadata
from anchorloc.export.reduced_precision import NetworkType, Reduction, reduce_precision, spread
from anchorloc.files import write_bytes
from anchorloc.predict.image_input import find_images, read_rgb
from anchorloc.predict.localizer import NO_BOXES, load
from anchorloc.structures import Detections, Pixels, Sample, Size
from anchorloc.text import counted

Runner = Callable[[Tensor, Sequence[Size]], list[Detections]]  # images and their sizes without padding
CHECKED = 8  # images to check on, spread over those given
MEASURED = 1000  # val images at most for AP and precision
TOGETHER = 3  # images in a batch of the check


@dataclass(frozen=True, eq=False)
class _NetworkImages:
    """Images as the network gets them, of one padded size."""

    pixels: Tensor  # (B, 3, H, W)
    shown: list[Size]  # without padding

    @property
    def size(self) -> Size:
        return self.pixels.shape[2], self.pixels.shape[3]


@dataclass(frozen=True)
class Export:
    """What was found out about an exported file."""

    agreement: Agreement
    size: Size | None  # the one padded (height, width) that the file takes; None: any
    threshold: ScoreThreshold | None  # kept in the file
    reduction: Reduction | None = None  # None: the network is in float32


def export_model(
    checkpoint: Path,
    out: Path,
    images: Path | None,
    size: Size | None = None,
    overrides: Sequence[str] = (),
    *,
    network: NetworkType = "float32",
    max_loss: float = MAX_LOSS,
    precision: float | None = None,
) -> Export:
    """Write `out`, and return the result of its checks.

    Args:
        checkpoint: the run's folder, its checkpoint, or a config.
        out: a new file that ends in .onnx or .pt2.
        images: a folder of images to check the file on, or the val split of the config.
        size: the one input size that the file takes; None lets it take any, unless anchors depend on it.
        overrides: changes to the settings.
        network: the number type of the network; a shorter one needs .onnx, and a val split to measure AP on.
        max_loss: AP that the shorter type may lose.
        precision: keep the score threshold of greatest recall that has this precision on val, in place of the one of
            the checkpoint.

    Raises:
        InputError: the model cannot be exported, an image cannot be read, the exported model finds other objects or
            loses too much AP, or no threshold has the precision.
    """
    if out.suffix == ".onnx":
        refuse_without_packages()
    checkpoint = find_checkpoint(checkpoint)
    model = load(checkpoint, *overrides, device="cpu").model
    if not isinstance(model, TrainedModel):
        raise InputError(f"{checkpoint} is exported already; give the checkpoint of a run")
    config = model.config
    pixels = _pixels(model, images)
    if size is None and config.method.depends_on_size:
        size = config.padded(config.transform.resize((pixels[0].shape[0], pixels[0].shape[1]))[0])
    if size is not None and (min(size) < 1 or size[0] % config.multiple or size[1] % config.multiple):
        raise InputError(f"--size {size[0]} {size[1]} must be multiples of {config.multiple}, the coarsest stride")
    if precision is not None:
        model = replace(model, threshold=_threshold(model, precision))
    batches = _batches(config, pixels, size)
    data, run = _convert(model, out.suffix, batches[0].pixels, size, _metadata(model, checkpoint))
    ours, theirs = [], []
    with torch.no_grad():
        for batch in batches:
            theirs += run(batch.pixels, batch.shown)
            for one, shown in zip(torch.split(batch.pixels, 1), batch.shown, strict=True):
                ours += _decode(config, model.network(one), batch.size, [shown])
    agreement, reduction = check_agreement(ours, theirs, config.decoder), None
    if network != "float32":
        exported = OnnxModel(config, model.categories, model.step, open_session(data), model.threshold, out.absolute())
        data, reduction = reduce_precision(exported, data, network, _val(model))
        reduction.refuse_above(max_loss)
        data = with_metadata(data, _metadata(model, checkpoint, reduction))
    write_bytes(out, data)
    return Export(agreement, size, model.threshold, reduction)


def _val(model: TrainedModel) -> Source:
    """Return the val split with the classes of the model, or `MEASURED` images of it."""
    source: Source = match_categories(model.config.data.open("val"), model.categories, *CHECKPOINT_AND_DATA)
    return source if len(source) <= MEASURED else Subset(source, np.array(spread(len(source), MEASURED)))


def _threshold(model: TrainedModel, precision: float) -> ScoreThreshold | None:
    """Return the score threshold that has a precision on val.

    Raises:
        InputError: no threshold has it.
    """
    if model.config.task == "localization":
        raise InputError("--precision needs a model of task=detection: localization always shows the top box")
    source = _val(model)
    evaluation, found = evaluate_model(model, source)
    if evaluation.at_precision(found, precision) is None:
        raise InputError(
            f"no score threshold reaches precision {precision:g} on {counted(len(source), 'val image', 'val images')}; "
            "give a lower --precision, or leave it out for the threshold of the checkpoint"
        )
    return find_threshold(evaluation, found, precision, model.step)


def _convert(model: TrainedModel, suffix: str, like: Tensor, size: Size | None, metadata: str) -> tuple[bytes, Runner]:
    """Return the file and a function that runs it; `like` are images of the type to take."""
    config = model.config
    model.network.to(memory_format=torch.contiguous_format)
    example = pad_to_multiple([cells * math.ceil(max(config.anchors.strides)) for cells in (3, 4)], config.multiple)
    images = torch.zeros(2, 3, *(size or example), dtype=like.dtype)  # one cell would be traced as a constant
    axes = dynamic_shapes(config.multiple if size is None else None)
    if suffix == ".onnx":
        shown = torch.tensor([images.shape[2:]] * 2)
        if config.method.has_anchors:
            decoded: DecodedModule | SingleBoxModule = DecodedModule(model.network, config, size)
        else:
            assert size is not None  # the box is a fraction of it
            decoded = SingleBoxModule(model.network, size)
        data = with_metadata(to_onnx(decoded, axes, images, shown, config), metadata)
        return data, _onnx_runner(data)
    buffer = io.BytesIO()
    program = trace(LogitsModule(model.network), axes, images)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # with the paths of this machine
    torch.export.save(program, buffer, extra_files={KEY: metadata})
    return buffer.getvalue(), _program_runner(buffer, config)


def _metadata(model: TrainedModel, checkpoint: Path, reduction: Reduction | None = None) -> str:
    weights = Path(model.config.detector.weights) if checkpoint.suffix in (".yaml", ".yml") else checkpoint
    measured = {} if reduction is None else reduction.named()
    return write_metadata(model.config, model.categories, model.step, model.threshold, weights, measured)


def _pixels(model: TrainedModel, images: Path | None) -> list[Pixels]:
    if images is not None:
        files = [path for path, _ in find_images([images]) if not foreign_format(path)]
        settings = model.config.data.image_settings
        return _readable([files[index] for index in spread(len(files), CHECKED)], settings)
    source = model.config.seen(model.config.data.open("val"))
    return [source.image(index) for index in spread(len(source), CHECKED)]


def _readable(files: Sequence[Path], settings: ImageSettings) -> list[Pixels]:
    """Return the images that can be read, and warn of the others.

    Raises:
        InputError: none can be read.
    """
    images, errors = [], []
    for file in files:
        try:
            images.append(read_rgb(file, settings=settings))
        except InputError as error:
            errors.append(str(error))
    if not images:
        raise InputError(f"no image of the check can be read (first: {errors[0]}); give other --images")
    for sentence in errors:
        warn(f"left out of the check: {sentence}")
    return images


def _batches(config: Config, images: Sequence[Pixels], size: Size | None) -> list[_NetworkImages]:
    """Return the network's inputs in batches of one padded size; with a `size`, images are cropped or padded to it."""
    fill, cut = config.detector.fill, size or (None, None)
    pixels = [config.transform(image, NO_BOXES, fill=fill) for image in images]
    inputs = [(one[: cut[0], : cut[1]], placement.extent) for one, _, placement in pixels]
    sizes = [size or config.padded(one.shape[:2]) for one, _ in inputs]
    batches = []
    for rows in equal_size_batches(sizes, TOGETHER):
        padded = pad_images([inputs[row][0] for row in rows], sizes[rows[0]], fill)
        shown = [
            (min(sizes[row][0], inputs[row][1][2]), min(sizes[row][1], inputs[row][1][3])) for row in rows
        ]  # an extent of a cropped image would reach beyond it
        batches.append(_NetworkImages(torch.from_numpy(padded).permute(0, 3, 1, 2).contiguous(), shown))
    return batches


def _decode(config: Config, predictions: Predictions, size: Size, shown: Sequence[Size]) -> list[Detections]:
    """Return detections in network pixels."""
    samples = [Sample(np.zeros((0, 0, 3), np.uint8), NO_BOXES, "", (1.0, 1.0), one, (0, 0, *one)) for one in shown]
    return config.method.decode(predictions, config.method.grid(size), samples)


def _program_runner(buffer: io.BytesIO, config: Config) -> Runner:
    buffer.seek(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch 2.11 warns about how it reads its own file
        module = torch.export.load(buffer).module()

    def run(batch: Tensor, shown: Sequence[Size]) -> list[Detections]:
        logits, deltas, *iou_logits = module(batch)
        predictions = Predictions(logits, deltas, config.detector.head.background_class, *iou_logits)
        return _decode(config, predictions, (batch.shape[2], batch.shape[3]), shown)

    return run


def _onnx_runner(data: bytes) -> Runner:
    session = open_session(data)
    outputs = ["boxes", "scores", "labels", "counts"]

    def run(batch: Tensor, shown: Sequence[Size]) -> list[Detections]:
        inputs = {"images": batch.numpy(), "sizes": np.array(shown, np.int64)}
        boxes, scores, labels, counts = session.run(outputs, inputs)
        return [
            Detections(boxes[i, :n], scores[i, :n], labels[i, :n], np.full(n, -1), "") for i, n in enumerate(counts)
        ]

    return run
