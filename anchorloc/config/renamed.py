"""Renamed settings: an error gives users the new name; the program's own files are translated."""

from __future__ import annotations

import copy
from typing import Any, Final

RENAMED: Final = {
    "assign.candidates": "assign.topk",
    "data.tiles.empty": "data.tiles.background_fraction",
    "decode.across_classes": "decode.class_agnostic_nms",
    "decode.candidates": "decode.topk_candidates",
    "decode.group": "decode.topk_per",
    "decode.soft_sigma": "decode.soft_nms_sigma",
    "detector.backbone.ceil_pooling": "detector.backbone.ceil_mode",
    "detector.backbone.first": "detector.backbone.first_stride",
    "detector.head.background": "detector.head.background_class",
    "detector.head.quality": "detector.head.iou_branch",
    "detector.pyramid.dense": "detector.pyramid.fc_channels",
    "detector.pyramid.extra": "detector.pyramid.extra_levels",
    "detector.pyramid.extra_from": "detector.pyramid.extra_levels_from",
    "detector.pyramid.valid": "detector.pyramid.unpadded_levels",
    "loss.classification.negatives": "loss.classification.negative_to_positive_ratio",
    "loss.quality_weight": "loss.iou_branch_weight",
    "train.accumulate": "train.gradient_accumulation",
    "train.keep": "train.keep_checkpoints",
    "train.optimizer.backbone_rate": "train.optimizer.backbone_lr_multiplier",
    "train.rate_batch_size": "train.base_batch_size",
    "transform.augment.iou_crop.max_ratio": "transform.augment.iou_crop.max_aspect_ratio",
    "transform.augment.iou_crop.smallest": "transform.augment.iou_crop.min_scale",
    "transform.augment.zoom_out.largest": "transform.augment.zoom_out.max_scale",
}


def renaming(key: str) -> str:
    """Return the sentence that gives the new name of a dotted key, or "" for a key that never existed."""
    if key == "align":
        return "align is now a kind of assign; write assign: {kind: TaskAlignedAssigner}"
    return f"{key} is now {RENAMED[key]}" if key in RENAMED else ""


def translated(plain: dict[str, Any]) -> dict[str, Any]:
    """Return a config that an earlier version wrote, as nested dicts, under today's names; others are returned as
    they are."""
    plain = copy.deepcopy(plain)
    for old, new in RENAMED.items():
        *parents, name = old.split(".")
        group: Any = plain
        for parent in parents:
            group = group.get(parent) if isinstance(group, dict) else None
        if isinstance(group, dict) and name in group:
            renamed = {new.rpartition(".")[2] if key == name else key: value for key, value in group.items()}
            group.clear()
            group.update(renamed)  # the order of keys stays
    align = plain.pop("align", None)
    if isinstance(align, dict):
        rest = {"topk" if key == "top" else key: value for key, value in align.items()}
        plain["assign"] = {"kind": "TaskAlignedAssigner", **rest, **_initial(plain)}
    return plain


def _initial(plain: dict[str, Any]) -> dict[str, Any]:
    """Return the assigner beside `align` as the initial one of a TaskAlignedAssigner."""
    return {"initial": plain["assign"]} if "assign" in plain else {}
