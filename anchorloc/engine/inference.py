"""Run a network on a batch, and the precision of its forward pass in training and in inference."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import nn

from anchorloc.config import Config
from anchorloc.detector import Batch, Predictions
from anchorloc.structures import Detections


def detect_batch(
    model: nn.Module,
    batch: Batch,
    config: Config,
    device: torch.device,
    on_predictions: Callable[[Predictions, Batch], None] | None = None,
) -> list[Detections]:
    """Return the detections of each image, or the candidates of each tile if the config cuts images into tiles.

    `on_predictions` gets the network's output and the batch.
    """
    model.eval()
    batch = batch.to(device)
    with torch.inference_mode(), inference_precision(config):
        predictions = model(batch.images)
        if on_predictions is not None:
            on_predictions(predictions, batch)
    method = config.method
    decode = method.decode if config.tiles is None else method.candidates
    return decode(predictions, method.grid(batch.size), batch.samples)


@contextmanager
def inference_precision(config: Config) -> Iterator[None]:
    """Run the forward pass of inference in float32, on a GPU without TF32 unless `train.inference_precision` is tf32.

    So validation, `evaluate`, `predict`, `load` and an exported model agree.
    """
    backends: tuple[Any, ...] = torch.backends.cudnn, torch.backends.cuda.matmul
    before = [backend.allow_tf32 for backend in backends]
    for backend in backends:
        backend.allow_tf32 = config.train.inference_precision == "tf32"
    try:
        yield
    finally:
        for backend, allowed in zip(backends, before, strict=True):
            backend.allow_tf32 = allowed


def autocast(config: Config, device: torch.device) -> AbstractContextManager[object]:
    """Return the context of a training step's forward pass: bfloat16 if set, or if `auto` finds hardware for it."""
    wanted = config.train.precision
    enabled = wanted == "bfloat16" or (wanted == "auto" and _fast_bfloat16(device))
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled)


def _fast_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = getattr(torch.cpu, "get_capabilities", None)  # missing in older releases: float32 then
    return device.type == "cpu" and capabilities is not None and bool(capabilities().get("avx512_bf16"))
