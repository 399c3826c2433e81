"""Try the parts of the user's own that work on tensors: backbone and losses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from anchorloc.config import Config, held_to, own_parts, require
from anchorloc.data import Source
from anchorloc.detector import Batch
from anchorloc.detector.part_protocols import BackboneProtocol, BoxLossProtocol, ClassLossProtocol

SIDE = 256  # pixels, height and width of the image that a backbone is tried on


def check_network_parts(config: Config, train: Source) -> None:
    """Try backbone and losses of the user's own on small inputs.

    Raises:
        InputError: one of them does something else than its protocol says.
    """
    losses = {ClassLossProtocol: _check_class_loss, BoxLossProtocol: _check_box_loss}
    checks = {BackboneProtocol: _check_backbone, **(losses if config.method.has_anchors else {})}
    for own in own_parts(config):
        if own.protocol in checks:
            with held_to(own):
                checks[own.protocol](own.part, config, train)


def _check_backbone(part: Any, config: Config, train: Source) -> None:
    network = part(pretrained=False)
    require(isinstance(network, nn.Module), f"it returned {type(network).__name__}")
    channels, strides = network.channels, network.strides
    for name, values in (("channels", channels), ("strides", strides)):
        whole = isinstance(values, Sequence) and all(type(value) is int and value > 0 for value in values)
        require(whole and len(values) > 0, f"its {name} are {values!r}")
    require(len(channels) == len(strides), f"it has {len(channels)} channels for {len(strides)} strides")
    with torch.no_grad():
        maps = network.eval()(torch.zeros(1, 3, SIDE, SIDE))
    require(isinstance(maps, list | tuple), f"it maps images to {type(maps).__name__}")
    require(len(maps) == len(strides), f"it gives {len(maps)} maps for {len(strides)} strides")
    for number, (one, count, stride) in enumerate(zip(maps, channels, strides, strict=True)):
        cells = math.ceil(SIDE / stride)
        _check_tensor(one, (1, count, cells, cells), f"map {number} of an image of {SIDE} x {SIDE} px")


def _check_class_loss(part: Any, config: Config, train: Source) -> None:
    background = part.background_class
    require(isinstance(background, bool), f"its background_class is {background!r}")
    index = next((index for index in range(len(train)) if len(train.training_target(index))), 0)
    batch = config.method.collate()([config.samples(train, training=False)[0, index]])
    anchors = len(config.method.grid(batch.size))
    for one in (batch, _without_positives(batch)):
        logits = torch.linspace(-2, 2, len(train.categories) + background).repeat(1, anchors, 1).requires_grad_()
        quality = torch.full((len(one.positives),), 0.5)
        total = part.total(logits, one, quality)
        _check_loss(total, (), logits, f"total with {len(one.positives)} positives")


def _check_box_loss(part: Any, config: Config, train: Source) -> None:
    anchors = torch.tensor([[0.0, 0.0, 32.0, 32.0], [8.0, 8.0, 40.0, 72.0], [5.0, 5.0, 15.0, 10.0]])
    boxes = anchors + torch.tensor([2.0, 1.0, 5.0, 3.0])
    for count in (3, 0):
        deltas = torch.full((count, 4), 0.1, requires_grad=True)
        loss = part(deltas, boxes[:count], anchors[:count], config.coder)
        _check_loss(loss, (count,), deltas, f"the loss of {count} positives")


def _check_loss(loss: Any, shape: tuple[int, ...], inputs: Tensor, what: str) -> None:
    """Require a finite loss of a shape, with a finite gradient of its inputs."""
    _check_tensor(loss, shape, what)
    require(loss.requires_grad, f"{what} has no gradient")
    (gradient,) = torch.autograd.grad(loss.sum(), inputs)
    require(bool(gradient.isfinite().all()), f"{what} has a gradient that is NaN or infinite")


def _check_tensor(value: Any, shape: tuple[int, ...], what: str) -> None:
    require(isinstance(value, Tensor), f"{what} is a {type(value).__name__}, not a tensor")
    found = f"{what} has shape {tuple(value.shape)} and type {str(value.dtype).removeprefix('torch.')}"
    require(tuple(value.shape) == shape and value.dtype == torch.float32, f"{found}, not {shape} and float32")
    require(bool(value.isfinite().all()), f"{what} is NaN or infinite")


def _without_positives(batch: Batch) -> Batch:
    none = torch.zeros(0, dtype=torch.int64)
    return Batch(batch.images, none, torch.zeros(0, 4), torch.zeros(0, 4), none, batch.ignored, batch.samples)
