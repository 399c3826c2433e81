"""A trained network over a data set."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from anchorloc.config import Config
from anchorloc.detector import Batch, Predictions, TaskAlignedAssigner, whole_image
from anchorloc.structures import Detections


def detect_batch(
    model: nn.Module,
    batch: Batch,
    config: Config,
    device: torch.device,
    on_predictions: Callable[[Predictions, Batch], None] | None = None,
) -> list[Detections]:
    """Return the detections of each image; `on_predictions` gets the network's output and the batch."""
    model.eval()
    batch = batch.to(device)
    with torch.inference_mode(), autocast(config, device):
        predictions = model(batch.images)
        if on_predictions is not None:
            on_predictions(predictions, batch)
    size = (batch.images.shape[2], batch.images.shape[3])
    if config.localizer is not None:
        return list(config.localizer.decode(predictions, whole_image(size), batch.samples))
    return list(config.decoder(predictions, config.anchors(size), batch.samples, config.coder))


def losses_of(
    config: Config, predictions: Predictions, batch: Batch, positives: float | None = None
) -> dict[str, Tensor]:
    """Return the parts of the loss; `positives` is what to divide by, where a batch comes in several parts."""
    if config.localizer is not None:
        return config.localizer.losses(predictions, batch, positives)
    return config.loss(predictions, batch, config.coder, positives)


def aligned(config: Config, predictions: Predictions, batch: Batch) -> Batch:
    """Return `batch` as the losses take it: assigned anew where the assigner looks at predictions."""
    if not isinstance(config.assign, TaskAlignedAssigner) or config.localizer is not None:
        return batch
    grid = config.anchors((batch.images.shape[2], batch.images.shape[3]))
    return config.assign(predictions, batch, grid, config.coder)


def autocast(config: Config, device: torch.device) -> AbstractContextManager[object]:
    """Return the context of the forward pass: bfloat16 where asked for, or where `auto` finds hardware for it."""
    wanted = config.train.precision
    enabled = wanted == "bfloat16" or (wanted == "auto" and _fast_bfloat16(device))
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled)


def _fast_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    tell = getattr(torch.cpu, "get_capabilities", None)  # older releases do not tell: float32 then
    return device.type == "cpu" and tell is not None and bool(tell().get("avx512_bf16"))
