"""Refuse images so small that a normalization gets a single value, before a run begins."""

from __future__ import annotations

import copy
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from anchorloc.config import Config, own_parts
from anchorloc.data import Annotations
from anchorloc.detector import Detector, FeaturePyramid, Head
from anchorloc.detector.head_settings import NORM_GROUPS
from anchorloc.detector.part_protocols import BackboneProtocol
from anchorloc.errors import InputError
from anchorloc.structures import Size


def refuse_single_values(network: Detector, config: Config, train: Annotations, processes: int = 1) -> None:
    """Refuse a run in which a normalization gets a single value, so that it has no variance.

    Batch normalization needs two values per channel in a micro-batch, group normalization two per group in an image. A
    level of one cell has one value per channel and image.

    Raises:
        InputError: naming the settings that help.
    """
    size, settings = _smallest(config, train), config.train
    images = settings.batch_size // (processes * settings.gradient_accumulation)
    single = _single_values(network, size, shape_device(config))
    groups = [name for name, module in single.items() if isinstance(module, nn.GroupNorm)]
    batches = [name for name in single if name not in groups]
    image = f"an image of {size[0]} x {size[1]} px, which has one cell at a level"
    if groups:
        raise InputError(
            f"group normalization gets a single value per group from {image}: set "
            f"detector.head.channels={2 * NORM_GROUPS}, or use larger images (transform.resize) or fewer levels"
        )
    if batches and images == 1:
        raise InputError(
            f"batch normalization gets a single value per channel from {image}: use at least two images per "
            f"micro-batch (train.batch_size, now {settings.batch_size}, divided by processes and "
            f"train.gradient_accumulation, now {settings.gradient_accumulation}), larger images (transform.resize) or "
            f"fewer levels{_other_norms(config, batches)}"
        )


def shape_device(config: Config) -> str:
    """Return the device on which a network computes shapes: without values, unless the user's own backbone has them."""
    return "cpu" if has_own_backbone(config) else "meta"


def has_own_backbone(config: Config) -> bool:
    """Return whether the backbone is of the user's own."""
    return any(part.protocol is BackboneProtocol for part in own_parts(config))


def _smallest(config: Config, train: Annotations) -> Size:
    """Return the padded (height, width) of the train image of the fewest cells: of the shortest longer side."""
    factor = min(config.transform.augment.multi_scale)
    sizes = (config.transform.resize(train.size(index))[0] for index in range(len(train)))
    return min((config.padded([max(1, round(side * factor)) for side in size]) for size in sizes), key=max)


def _single_values(network: Detector, size: Size, device: str) -> dict[str, nn.Module]:
    """Return the normalizations, by name, that get one value per channel or group from one image of `size`."""
    shadow = copy.deepcopy(network).to(device).train()
    found: dict[str, nn.Module] = {}

    def skip(name: str, module: nn.Module, features: Tensor) -> Tensor:
        per_channel = features.numel() // features.shape[1]
        values = per_channel * (module.num_channels // module.num_groups if isinstance(module, nn.GroupNorm) else 1)
        if values == 1:
            found[name] = module
        return features

    for name, module in shadow.named_modules():
        if isinstance(module, nn.GroupNorm) or (isinstance(module, _BatchNorm) and module.training):
            module.forward = partial(skip, name, module)  # type: ignore[method-assign]
    with torch.no_grad():
        shadow.eval()(torch.zeros(1, 3, *size, device=device))
    return found


def _other_norms(config: Config, names: list[str]) -> str:
    """Return the last words of the advice: other normalizations, if all of the batch normalizations have one."""
    pyramid, head = config.detector.pyramid, config.detector.head
    settings = {}
    if isinstance(pyramid, FeaturePyramid):
        settings["pyramid"] = ["detector.pyramid.norm=none"]
    if isinstance(head, Head):
        enough = head.channels >= 2 * NORM_GROUPS and head.channels % NORM_GROUPS == 0
        more = [] if enough else [f"detector.head.channels={2 * NORM_GROUPS}"]
        settings["head"] = ["detector.head.norm=group", *more]
    parts = list(dict.fromkeys(name.partition(".")[0] for name in names))
    if not all(part in settings for part in parts):
        return ""
    return f"; or set {' and '.join(setting for part in parts for setting in settings[part])}"
