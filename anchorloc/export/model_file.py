"""Export a checkpoint to a file, and check the file before it is written."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from anchorloc.config import to_plain
from anchorloc.data.image_formats import foreign_format
from anchorloc.detector import Predictions
from anchorloc.engine.trained_model import TrainedModel
from anchorloc.errors import InputError
from anchorloc.export.agreement import Agreement, check_agreement
from anchorloc.export.graph import DecodedModule, LogitsModule, refuse_unsupported
from anchorloc.export.onnx_file import refuse_without_packages, to_onnx, trace
from anchorloc.files import write_bytes
from anchorloc.predict.image_input import find_images, read_rgb
from anchorloc.predict.localizer import NO_BOXES, load
from anchorloc.structures import Detections, Pixels, Sample, Size

Runner = Callable[[Tensor, Sequence[Size]], list[Detections]]  # images and their sizes without padding
METADATA = "anchorloc"  # name of the JSON text in the file: the settings that images are read with
CHECKED = 8  # images to check on, spread over those given


def export_model(
    checkpoint: Path, out: Path, images: Path | None, size: Size | None, overrides: Sequence[str] = ()
) -> tuple[Agreement, Size]:
    """Write `out`; return the result of the check, and the input (height, width) of the exported model.

    Raises:
        InputError: the model cannot be exported, an image cannot be read, or the exported model finds other objects.
    """
    if out.suffix == ".onnx":
        refuse_without_packages()
    model = load(checkpoint, *overrides, device="cpu").model
    if not model.config.method.has_anchors:
        raise InputError(f"{checkpoint} is a single-box model, which cannot be exported; give one with anchors")
    model.network.to(memory_format=torch.contiguous_format)
    batch, shown, size = _batch(model, _pixels(model, images), size)
    pair = batch[:1].repeat(2, 1, 1, 1)
    metadata = json.dumps({"images": to_plain(model.config.data.image_settings)})
    if out.suffix == ".onnx":
        refuse_unsupported(model.config)
        decoded = DecodedModule(model.network, model.config, size)
        data = to_onnx(decoded, pair, torch.tensor(shown[:1] * 2), {METADATA: metadata})
        run = _onnx_runner(data)
    else:
        program = trace(LogitsModule(model.network), pair)
        buffer = io.BytesIO()
        torch.export.save(program, buffer, extra_files={METADATA: metadata})
        data, run = buffer.getvalue(), _program_runner(buffer, model, size)
    with torch.no_grad():
        ours = [_decode(model, model.network(batch[[i]]), size, shown[i : i + 1])[0] for i in range(len(batch))]
    theirs = [found for i in range(0, len(batch), 3) for found in run(batch[i : i + 3], shown[i : i + 3])]
    agreement = check_agreement(ours, theirs, model.config.decoder)
    write_bytes(out, data)
    return agreement, size


def _pixels(model: TrainedModel, images: Path | None) -> list[Pixels]:
    if images is not None:
        files = [path for path, _ in find_images([images]) if not foreign_format(path)]
        settings = model.config.data.image_settings
        return [read_rgb(files[index], settings=settings) for index in _spread(len(files))]
    source = model.config.data.open("val")
    return [source.image(index) for index in _spread(len(source))]


def _spread(count: int) -> list[int]:
    return sorted(set(np.linspace(0, count - 1, min(count, CHECKED)).round().astype(int).tolist()))


def _batch(model: TrainedModel, images: Sequence[Pixels], size: Size | None) -> tuple[Tensor, list[Size], Size]:
    """Return network inputs (B, 3, H, W), cropped or padded to one size; their sizes without padding; and that size."""
    config = model.config
    if size is None:
        canvas, _ = config.transform.resize((images[0].shape[0], images[0].shape[1]))
        size = config.padded(canvas)
    if min(size) < 1 or size[0] % config.multiple or size[1] % config.multiple:
        raise InputError(f"--size {size[0]} {size[1]} must be multiples of {config.multiple}, the coarsest stride")
    fill = config.detector.fill
    pixels, shown = [], []
    for image in images:
        resized, _, placement = config.transform(image, NO_BOXES, fill=fill)
        pixels.append(resized[: size[0], : size[1]])
        shown.append((min(size[0], placement.extent[2]), min(size[1], placement.extent[3])))
    frame = np.zeros((*size, 3), pixels[0].dtype)
    return config.method.collate().pad([*pixels, frame])[:-1].contiguous(), shown, size


def _decode(model: TrainedModel, predictions: Predictions, size: Size, shown: Sequence[Size]) -> list[Detections]:
    """Return detections in network pixels."""
    config = model.config
    samples = [Sample(np.zeros((0, 0, 3), np.uint8), NO_BOXES, "", (1.0, 1.0), one, (0, 0, *one)) for one in shown]
    return config.method.decode(predictions, config.method.grid(size), samples)


def _program_runner(buffer: io.BytesIO, model: TrainedModel, size: Size) -> Runner:
    buffer.seek(0)
    module = torch.export.load(buffer).module()

    def run(batch: Tensor, shown: Sequence[Size]) -> list[Detections]:
        with torch.no_grad():
            logits, deltas, *iou_logits = module(batch)
        predictions = Predictions(logits, deltas, model.config.detector.head.background_class, *iou_logits)
        return _decode(model, predictions, size, shown)

    return run


def _onnx_runner(data: bytes) -> Runner:
    import onnxruntime

    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])

    def run(batch: Tensor, shown: Sequence[Size]) -> list[Detections]:
        inputs = {"images": batch.numpy(), "sizes": np.array(shown, np.int64)}
        boxes, scores, labels, counts = session.run(None, inputs)
        return [
            Detections(boxes[i, :n], scores[i, :n], labels[i, :n], np.full(n, -1), "") for i, n in enumerate(counts)
        ]

    return run
