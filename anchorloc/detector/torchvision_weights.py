"""Translate the parameter names of torchvision's detectors to ours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from torch import Tensor
from torchvision.models.detection import RetinaNet_ResNet50_FPN_Weights

from anchorloc.errors import InputError

# The class of every row of a layer that was trained on COCO: its category id. Row 0 is the background.
COCO_ROWS: Final[dict[str, int]] = {
    name: row
    for row, name in enumerate(RetinaNet_ResNet50_FPN_Weights.COCO_V1.meta["categories"])
    if row and name != "N/A"
}
COCO_COUNT: Final = 91  # rows, ids that no category has included

# A tensor that only one family has, and its shape where the name is shared.
_FAMILIES: Final = {
    "retinanet_resnet50_fpn": ("backbone.fpn.extra_blocks.p6.weight", 256),
    "retinanet_resnet50_fpn_v2": ("backbone.fpn.extra_blocks.p6.weight", 2048),
    "ssd300_vgg16": ("backbone.extra.0.7.1.weight", 512),
    "ssdlite320_mobilenet_v3_large": ("backbone.features.1.0.1.0.weight", 1),
}
_BRANCHES: Final = {"classification_head": ("class_tower", "logits"), "regression_head": ("box_tower", "deltas")}
_RETINANET: Final = [
    (r"backbone\.fpn\.inner_blocks\.(\d+)(?:\.0)?\.(weight|bias)", r"pyramid.lateral.\1.\2"),
    (r"backbone\.fpn\.layer_blocks\.(\d+)(?:\.0)?\.(weight|bias)", r"pyramid.smooth.\1.\2"),
    (r"backbone\.fpn\.extra_blocks\.p6\.", "pyramid.extra.0."),
    (r"backbone\.fpn\.extra_blocks\.p7\.", "pyramid.extra.1."),
    (r"head\.(\w+_head)\.conv\.(\d+)\.0\.", r"head.\1.convs.\2."),
    (r"head\.(\w+_head)\.conv\.(\d+)\.1\.", r"head.\1.norms.\2."),
    (r"head\.(\w+_head)\.(?:cls_logits|bbox_reg)\.", r"head.\1.last.0."),
]
_SSD: Final = [
    (r"backbone\.features\.", "backbone.body.features."),
    (r"backbone\.scale_weight", "pyramid.scale"),
    (r"backbone\.extra\.0\.1\.", "backbone.body.features.24."),  # conv5_1 to conv5_3
    (r"backbone\.extra\.0\.3\.", "backbone.body.features.26."),
    (r"backbone\.extra\.0\.5\.", "backbone.body.features.28."),
    (r"backbone\.extra\.0\.7\.1\.", "pyramid.dense.0."),
    (r"backbone\.extra\.0\.7\.3\.", "pyramid.dense.1."),
    (r"head\.(\w+_head)\.module_list\.", r"head.\1.last."),
]
_LITE: Final = [
    (r"backbone\.features\.0\.13\.", "backbone.body.features.13.block.0."),  # stride 16, before it is halved
    (r"backbone\.features\.0\.", "backbone.body.features."),
    (r"backbone\.features\.1\.0\.", "backbone.body.features.13.block."),
    (r"head\.(\w+_head)\.module_list\.(\d+)\.0\.0\.", r"head.\1.last.\2.0.conv."),
    (r"head\.(\w+_head)\.module_list\.(\d+)\.0\.1\.", r"head.\1.last.\2.0.norm."),
    (r"head\.(\w+_head)\.module_list\.(\d+)\.1\.", r"head.\1.last.\2.1."),
]


def family(state: Mapping[str, Tensor]) -> str:
    """Return the name of the torchvision detector that a state dict belongs to, or "" if it is not a supported one."""
    for name, (key, inputs) in _FAMILIES.items():
        if key in state and state[key].ndim == 4 and state[key].shape[1] == inputs:
            return name
    return ""


def translate(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a torchvision detector under the names of ours.

    Raises:
        InputError: it is not a state dict of a supported detector.
    """
    name = family(state)
    if not name:
        raise InputError(f"it is not a state dict of a supported detector ({', '.join(_FAMILIES)})")
    rename = {"ssd300_vgg16": _ssd, "ssdlite320_mobilenet_v3_large": _lite}.get(name, _retinanet)
    return {_branch(rename(key)): value for key, value in state.items()}


def _retinanet(key: str) -> str:
    # Files from before torchvision 0.15 number the convolutions of a tower 0, 2, 4, 6, the activations between.
    old = re.fullmatch(r"(head\.\w+_head\.conv)\.(\d+)\.(weight|bias)", key)
    return _first(_RETINANET, f"{old[1]}.{int(old[2]) // 2}.0.{old[3]}" if old else key)


def _ssd(key: str) -> str:
    extra = re.fullmatch(r"backbone\.extra\.([1-9]\d*)\.(\d+)\.(weight|bias)", key)
    if extra:
        return f"pyramid.extra.{int(extra[1]) - 1}.{int(extra[2]) // 2}.{extra[3]}"
    return _first(_SSD, key)


def _lite(key: str) -> str:
    if late := re.match(r"backbone\.features\.1\.([1-9]\d*)\.", key):
        return f"backbone.body.features.{13 + int(late[1])}.{key[late.end() :]}"
    if extra := re.match(r"backbone\.extra\.(\d+)\.(\d+)\.([01])\.", key):
        return f"pyramid.extra.{extra[1]}.{extra[2]}.{('conv', 'norm')[int(extra[3])]}.{key[extra.end() :]}"
    return _first(_LITE, key)


def _first(rules: list[tuple[str, str]], key: str) -> str:
    """Apply the first rule that fits; a name that none fits is ours too."""
    for pattern, replacement in rules:
        if re.match(pattern, key):
            return re.sub(pattern, replacement, key, count=1)
    return key


def _branch(key: str) -> str:
    """Give the two branches of a head our names for them."""
    for theirs, (tower, last) in _BRANCHES.items():
        key = key.replace(f"head.{theirs}.last.", f"head.{last}.").replace(f"head.{theirs}.", f"head.{tower}.")
    return key
