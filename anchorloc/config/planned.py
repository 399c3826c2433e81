"""The settings that a plan can choose, written `auto` in a config."""

from __future__ import annotations

from typing import Final

AUTO: Final = "auto"  # in place of a value: choose this setting
PLANNED: Final = (
    "detector.backbone",
    "detector.head",
    "train.optimizer",
    "train.batch_size",
    "data.tiles",
    "transform.resize",
    "detector.pyramid",
    "anchors",
    "transform.augment",
    "train.sampling",
    "decode.max_detections",
    "train.workers",
    "train.warmup",
)  # every key that a rule of `plan/` chooses
